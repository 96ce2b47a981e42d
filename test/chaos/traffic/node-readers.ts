// Reads that go straight to one node each, whether or not it leads: nobody resends them to another one. Each node is asked all the
// time, whether or not it has answered: what it is asked while it is stopped or cut off waits in its sockets, and must not be
// answered with what was true before, when others have written meanwhile.
import { setTimeout as pause } from 'node:timers/promises'
import type { NodeInfo } from '../../../orchestrator/core/topology.js'
import { KvUnary } from '../../../orchestrator/wire/kv-unary.js'
import type { Random } from '../faults/random.js'
import type { Recorder } from './recorder.js'

/** Longer than a node is stopped. */
const READ_MS_MAX = 8_000
/** Between two reads of one node that leads, or did when it was last heard of. */
const EVERY_MS = 10
/** Of one that refuses. */
const EVERY_REFUSED_MS = 80
/** Past this the reader skips turns: its memory stays bounded while a node says nothing. */
const IN_FLIGHT_MAX = 256
/**
 * Several, so that some read is handled in the very moment of waking, before the node has learnt that it was deposed.
 */
const CONNECTIONS = 8

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
      options.nodes(shard).map((_, at) => this.#read(shard, at, options.random.fork())),
    )
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await Promise.all(this.#loops)
  }

  async #read(shard: number, at: number, random: Random): Promise<void> {
    const { recorder, nodes, keys } = this.#options
    const client = `node s${shard}/${at + 1}`
    const flights = new Set<Promise<unknown>>()
    let connections: readonly KvUnary[] = []
    let refuses = false
    const close = (): void => {
      for (const connection of connections) connection.close()
    }
    try {
      for (let turn = 0; !this.#stopped; turn++) {
        const address = nodes(shard)[at]?.address ?? ''
        if (connections[0]?.address !== address) {
          close()
          connections = Array.from({ length: CONNECTIONS }, () => new KvUnary(address))
        }
        const to = connections[turn % CONNECTIONS]
        if (to !== undefined && flights.size < IN_FLIGHT_MAX) {
          const asked = { client, key: random.pick(keys(shard)), op: 'get' as const }
          const flight = recorder.recordAnswer(asked, () => readFrom(to, asked.key, READ_MS_MAX))
          flights.add(flight)
          void flight.then((answer) => {
            flights.delete(flight)
            refuses = answer === undefined
          })
        }
        await pause(refuses ? EVERY_REFUSED_MS : EVERY_MS)
      }
      await Promise.all(flights)
    } finally {
      close()
    }
  }
}

export async function readFrom(
  node: KvUnary,
  key: string,
  deadlineMs: number,
  staleMs = 0,
): Promise<{ readonly got: string | null; readonly version: number }> {
  const { found, value, version } = await node.get(Buffer.from(key), { deadlineMs, staleMs })
  return { got: found ? Buffer.from(value).toString() : null, version: Number(version) }
}
