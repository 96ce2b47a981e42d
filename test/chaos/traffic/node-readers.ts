// Reads that go straight to one node each, whether or not it leads: nobody resends them to another one. Those that wait in
// the sockets of a node that is stopped are answered when it wakes, and must not be answered with what was true before.
import { setTimeout as pause } from 'node:timers/promises'
import type { NodeInfo } from '../../../orchestrator/core/topology.js'
import { KvUnary } from '../../../orchestrator/wire/kv-unary.js'
import type { Random } from '../faults/random.js'
import type { Recorder } from './recorder.js'

/** Longer than a node is stopped. */
const READ_MS_MAX = 8_000
const REST_MS = 5
/** Of a node that does not lead. */
const REST_REFUSED_MS = 60
const READERS_PER_NODE = 2

export interface NodeReadersOptions {
  readonly recorder: Recorder
  readonly random: Random
  readonly shards: readonly number[]
  /** The nodes of a shard where they are now. */
  readonly nodes: (shard: number) => readonly NodeInfo[]
  readonly keys: (shard: number) => readonly string[]
}

export class NodeReaders {
  readonly #options: NodeReadersOptions
  readonly #loops: readonly Promise<void>[]
  #stopped = false

  constructor(options: NodeReadersOptions) {
    this.#options = options
    this.#loops = options.shards.flatMap((shard) =>
      options
        .nodes(shard)
        .flatMap((_, at) =>
          Array.from({ length: READERS_PER_NODE }, () => this.#read(shard, at, options.random.fork())),
        ),
    )
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await Promise.all(this.#loops)
  }

  async #read(shard: number, at: number, random: Random): Promise<void> {
    const { recorder, nodes, keys } = this.#options
    let connection: KvUnary | undefined
    try {
      while (!this.#stopped) {
        const address = nodes(shard)[at]?.address ?? ''
        if (connection?.address !== address) {
          connection?.close()
          connection = new KvUnary(address)
        }
        const to = connection
        const asked = { client: `node s${shard}/${at + 1}`, key: random.pick(keys(shard)), op: 'get' as const }
        const answer = await recorder.recordAnswer(asked, () => readFrom(to, asked.key))
        await pause(answer === undefined ? REST_REFUSED_MS : REST_MS)
      }
    } finally {
      connection?.close()
    }
  }
}

async function readFrom(
  node: KvUnary,
  key: string,
): Promise<{ readonly got: string | null; readonly version: number }> {
  const { found, value, version } = await node.get(Buffer.from(key), { deadlineMs: READ_MS_MAX })
  return { got: found ? Buffer.from(value).toString() : null, version: Number(version) }
}
