// Reads that any replica may answer, with bounds from a few ms to several seconds: of each node by itself, whatever state it is
// in, and by clients that choose the replica themselves, through a gateway too.
import { setTimeout as pause } from 'node:timers/promises'
import type { NodeInfo } from '../../../orchestrator/core/topology.js'
import { KvUnary } from '../../../orchestrator/wire/kv-unary.js'
import type { Random } from '../faults/random.js'
import { readFrom } from './node-readers.js'
import type { Recorder } from './recorder.js'
import type { Way } from './ways.js'

const BOUNDS_MS: readonly (readonly [readonly [number, number], number])[] = [
  [[20, 100], 0.4],
  [[100, 1_000], 0.4],
  [[1_000, 5_000], 0.2],
]
/** Longer than a node is stopped: what it was asked before must not be answered with what was current then. */
const READ_MS_MAX = 8_000
const EVERY_MS = 50
/** Past this a reader skips turns: its memory stays bounded while a node says nothing. */
const IN_FLIGHT_MAX = 128

export interface StaleReadersOptions {
  readonly recorder: Recorder
  readonly random: Random
  readonly shards: readonly number[]
  /** The nodes of a shard where they are now. */
  readonly nodes: (shard: number) => readonly NodeInfo[]
  readonly keys: (shard: number) => readonly string[]
  /** Those that know such reads. */
  readonly ways: readonly Way[]
}

export class StaleReaders {
  readonly #options: StaleReadersOptions
  readonly #loops: readonly Promise<void>[]
  #stopped = false

  constructor(options: StaleReadersOptions) {
    this.#options = options
    const { shards, nodes, ways, random } = options
    const ofNodes = shards.flatMap((shard) => nodes(shard).map((_, at) => this.#ofNode(shard, at, random.fork())))
    this.#loops = [...ofNodes, ...ways.map((way) => this.#byWay(way, random.fork()))]
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await Promise.all(this.#loops)
  }

  async #byWay(way: Way, random: Random): Promise<void> {
    const { recorder, shards, keys } = this.#options
    await this.#readAll((flights) => {
      const asked = { client: `stale-${way.name}`, key: random.pick(keys(random.pick(shards))), ...bounded(random) }
      const call = async () => (await way.getStale?.(asked.key, READ_MS_MAX, asked.staleMs)) ?? {}
      flights.add(recorder.recordAnswer(asked, call))
    })
  }

  async #ofNode(shard: number, at: number, random: Random): Promise<void> {
    const { recorder, nodes, keys } = this.#options
    let connection: KvUnary | undefined
    try {
      await this.#readAll((flights) => {
        const address = nodes(shard)[at]?.address ?? ''
        if (connection?.address !== address) {
          connection?.close()
          connection = new KvUnary(address)
        }
        const to = connection
        const asked = { client: `stale s${shard}/${at + 1}`, key: random.pick(keys(shard)), ...bounded(random) }
        flights.add(recorder.recordAnswer(asked, () => readFrom(to, asked.key, READ_MS_MAX, asked.staleMs)))
      })
    } finally {
      connection?.close()
    }
  }

  /** Begins a read at each turn, and waits for all of them in the end. */
  async #readAll(begin: (flights: { add(flight: Promise<unknown>): void }) => void): Promise<void> {
    const flights = new Set<Promise<unknown>>()
    const add = (flight: Promise<unknown>): void => {
      flights.add(flight)
      void flight.finally(() => flights.delete(flight))
    }
    for (; !this.#stopped; await pause(EVERY_MS)) if (flights.size < IN_FLIGHT_MAX) begin({ add })
    await Promise.all(flights)
  }
}

function bounded(random: Random): { readonly op: 'get'; readonly staleMs: number } {
  const [from, to] = random.share(BOUNDS_MS)
  return { op: 'get', staleMs: random.between(from, to) }
}
