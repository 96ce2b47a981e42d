// Writes that go straight to one node each, whether or not it leads, on keys that nobody else writes. Other clients wait
// for the leader that they know of: while it is stopped or cut off, all that may be written to a key waits in it. These
// write through the next leader as soon as there is one, so that what the last one still holds is stale.
import { setTimeout as pause } from 'node:timers/promises'
import type { NodeInfo } from '../../../orchestrator/core/topology.js'
import { KvUnary } from '../../../orchestrator/wire/kv-unary.js'
import type { HotKey } from './hot-keys.js'
import type { Recorder } from './recorder.js'

const WRITE_MS_MAX = 3_000
/** Until the next write through the same node. */
const REST_MS = {
  /** It leads. */
  taken: 25,
  /** It does not: the next leader is found soon. */
  refused: 40,
  /** It is down or cut off, and each further try is one more write of unknown outcome: they make a search long. */
  inDoubt: 500,
}

export interface NodeWritersOptions {
  readonly recorder: Recorder
  readonly shards: readonly number[]
  /** The nodes of a shard where they are now. */
  readonly nodes: (shard: number) => readonly NodeInfo[]
  /** The key of a shard that is written now. */
  readonly key: (shard: number) => HotKey
}

export class NodeWriters {
  readonly #options: NodeWritersOptions
  readonly #loops: readonly Promise<void>[]
  #stopped = false

  constructor(options: NodeWritersOptions) {
    this.#options = options
    this.#loops = options.shards.flatMap((shard) => options.nodes(shard).map((_, at) => this.#write(shard, at)))
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await Promise.all(this.#loops)
  }

  async #write(shard: number, at: number): Promise<void> {
    const { nodes, key } = this.#options
    const client = `writer s${shard}/${at + 1}`
    let node: KvUnary | undefined
    try {
      while (!this.#stopped) {
        const address = nodes(shard)[at]?.address ?? ''
        if (node?.address !== address) {
          node?.close()
          node = new KvUnary(address)
        }
        await pause(REST_MS[await this.#put(node, client, key(shard))])
      }
    } finally {
      node?.close()
    }
  }

  async #put(node: KvUnary, client: string, key: HotKey): Promise<keyof typeof REST_MS> {
    if (!key.takesWrites) return 'refused'
    const { recorder } = this.#options
    const asked = { client, key: key.name, op: 'put' as const, value: recorder.freshValue() }
    key.began(true)
    const line = await recorder.recordUnlessRefused(asked, async () => {
      const put = await node.put(Buffer.from(asked.key), Buffer.from(asked.value), { deadlineMs: WRITE_MS_MAX })
      return { version: Number(put.version) }
    })
    key.ended(true, line?.outcome === 'unknown')
    if (line === undefined) return 'refused'
    return line.outcome === 'ok' ? 'taken' : 'inDoubt'
  }
}
