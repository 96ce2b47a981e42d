import type { Limits } from '../../../core/limits.js'
import { MapCell } from '../../../core/map-source.js'
import { seededRng } from '../../../core/rng.js'
import { limitsWith } from '../../../core/testing/limits.js'
import type { ManualClock } from '../../../core/testing/manual-clock.js'
import { KvError } from '../../../errors/index.js'
import { Store } from '../../store.js'
import type { Chance } from '../chance.js'
import type { Answer } from '../sim-sessions.js'
import { type Cluster, GATEWAYS } from './cluster.js'
import type { Network } from './network.js'
import { type Asked, bytesOf, type Truth } from './truth.js'

export interface ClientWorld {
  readonly clock: ManualClock
  readonly chance: Chance
  readonly truth: Truth
  readonly cluster: Cluster
  readonly network: Network
  /** The next call's number; of all clients together. */
  nextId(): number
}

/** Deadlines of those who have time, of most, and of those who have none. */
const DEADLINES_MS = [1500, 400, 400, 400, 40, 3]
const STALL_MS = 60
const KEYS = 8

export interface Ended extends Asked {
  readonly deadlineMs: number
  readonly tookMs: number
}

/** Some send in small messages, some have little room. */
function limitsOf(chance: Chance): Limits {
  return limitsWith({
    deadlineMs: 400,
    batchOperationsMax: chance.pick([2, 8, 4096]),
    inFlightOperationsMax: chance.pick([12, 65_536]),
  })
}

/** What a client asks for, as often as it is here. */
const KINDS = [
  ...(['get', 'get', 'get', 'append', 'append', 'append', 'put', 'put if', 'delete'] as const),
  ...(['increment', 'increment', 'compare-and-set'] as const),
]

/** A Store, and those who call it. */
export class SimClient {
  /** Calls that have no answer. */
  readonly open = new Set<number>()
  readonly ended: Ended[] = []
  readonly faults: string[] = []
  /** Whether the store's listener is with its source of maps. */
  listens = false
  readonly #store: Store
  readonly #cell: MapCell
  readonly #distrusted = new Set<string>()

  constructor(
    readonly number: number,
    seed: number,
    private readonly world: ClientWorld,
    limits: Limits = limitsOf(world.chance),
  ) {
    const { chance, clock, cluster, network } = world
    this.#cell = new MapCell(cluster.map, (atLeast) => this.#refresh(atLeast))
    const reachesGateways = chance.happens(0.5)
    this.#store = new Store({
      map: {
        current: () => this.#cell.current(),
        subscribe: (listener) => this.#subscribe(listener),
        refresh: (atLeast) => this.#cell.refresh(atLeast),
      },
      clock,
      rng: seededRng(seed),
      limits,
      stallMs: STALL_MS,
      gateways: { addresses: reachesGateways ? GATEWAYS : [], trusts: (address) => !this.#distrusted.has(address) },
      connect: (address, handlers, peer) => network.connect(number, address, handlers, peer),
    })
  }

  /** One call, of any kind. */
  call(deadlineMs = this.world.chance.pick(DEADLINES_MS)): void {
    const { chance, truth, clock, cluster } = this.world
    const id = this.world.nextId()
    const operation = this.#operation(id)
    const began = truth.tick()
    const started = clock.monotonic()
    const abort = new AbortController()
    this.open.add(id)
    this.#store.perform(operation, deadlineMs, abort.signal, (error, result) => {
      if (!this.open.delete(id)) this.faults.push(`call ${id} was answered twice`)
      const answer = (error ?? result) as Answer
      const tookMs = clock.monotonic() - started
      this.ended.push({ id, operation, began, ended: truth.tick(), answer, deadlineMs, tookMs })
    })
    if (cluster.weather.strikes('cancel')) cluster.agenda.plan(chance.between(0, 200), () => abort.abort())
  }

  /** What may befall it in one step. */
  step(): void {
    const { chance, cluster, network } = this.world
    const { weather } = cluster
    if (weather.strikes('newMap')) this.publish()
    if (weather.strikes('cut')) network.cut(this.number, chance.pick(cluster.shards).nodes, chance.between(50, 1500))
    if (!weather.strikes('distrust')) return
    const address = chance.pick(GATEWAYS)
    if (!this.#distrusted.delete(address)) this.#distrusted.add(address)
  }

  publish(): void {
    this.#cell.publish(this.world.cluster.map)
  }

  heal(): void {
    this.#distrusted.clear()
    this.publish()
  }

  close(): void {
    this.#store.close()
  }

  /** Whoever asks for a map gets one after a while; perhaps it is older than what was asked for. */
  #refresh(_atLeast: bigint): void {
    const { agenda, chance, map, weather } = this.world.cluster
    if (weather.strikes('refreshLost')) return
    agenda.plan(chance.between(1, 60), () => this.#cell.publish(chance.happens(0.5) ? map : this.world.cluster.map))
  }

  #subscribe(listener: Parameters<MapCell['subscribe']>[0]): () => void {
    this.listens = true
    const stop = this.#cell.subscribe(listener)
    return () => {
      this.listens = false
      stop()
    }
  }

  #operation(id: number): Asked['operation'] {
    const { chance, truth } = this.world
    const key = bytesOf(`key ${chance.below(KEYS)}`)
    const value = bytesOf(`${id};`)
    const kind = chance.pick(KINDS)
    if (kind === 'increment') return { kind, key: bytesOf(`number ${chance.below(KEYS)}`), by: BigInt(id) }
    if (kind === 'compare-and-set') return { kind, key, expected: this.#valueOf(key), value }
    if (kind === 'get' || kind === 'append') return kind === 'get' ? { kind, key } : { kind, key, value }
    if (kind === 'put') return { kind, key, value }
    if (kind === 'put if') return { kind: 'put', key, value, ifVersion: this.#versionOf(key) }
    // A second deletion must show: each has a key of its own, which is there.
    const own = `${id} to be deleted`
    truth.prepare(own, 'something')
    return { kind, key: bytesOf(own), ifVersion: chance.pick([undefined, 1n, 2n]) }
  }

  /** As this client read it last. */
  #valueOf(key: Uint8Array): Uint8Array | undefined {
    const last = this.ended.findLast(({ operation, answer }) => {
      return !(answer instanceof KvError) && answer.kind === 'get' && Buffer.from(operation.key).equals(key)
    })
    return last !== undefined && 'found' in last.answer && 'value' in last.answer && last.answer.found
      ? last.answer.value
      : undefined
  }

  /** As this client saw it last; of a key that others write, too, it need not be that any more. */
  #versionOf(key: Uint8Array): bigint {
    const last = this.ended.findLast(({ operation, answer }) => {
      return !(answer instanceof KvError) && Buffer.from(operation.key).equals(key)
    })
    return last !== undefined && 'version' in last.answer ? (last.answer.version ?? 0n) : 0n
  }
}
