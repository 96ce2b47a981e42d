import type { NodeInfo } from '../core/topology.js'
import type { ClusterOptions } from './cluster.js'
import { NotHolder, StaleRegistry, StartFault } from './faults.js'
import { unseal } from './fence.js'
import { Lease } from './lease.js'
import { LeaseObserver } from './lease-record.js'
import { MAP_KEY } from './map-keeper.js'
import { type MetaReach, MetaStore } from './meta-store.js'
import { MetaWatch } from './meta-watch.js'
import type { Registry } from './registry.js'
import { CLUSTER_ROW, decodeClusterRow, idsOf, knownOf, readRows } from './registry-rows.js'
import { stampAll } from './stamp-all.js'

/** Where meta is, for who does not run its nodes yet. */
interface Origin {
  readonly clusterId: string
  readonly meta: readonly NodeInfo[]
}

/** The same for one that stands by, and what it has seen of the lease. */
export interface Heir extends Origin {
  readonly observer: LeaseObserver
}

type ClaimOptions = Pick<
  ClusterOptions,
  'driver' | 'links' | 'clock' | 'telemetry' | 'rng' | 'holder' | 'startTimeoutMs' | 'from'
>

/** Meta that says nothing at all for so long cannot tell who runs its nodes: perhaps nobody does. */
const SILENCE_MS = 2_000
const HEIR_PATIENCE_MS = 10_000

/**
 * The claim to run a cluster's nodes: the control lease, and a registry that is no older than what meta has of it. Nodes that
 * others can run as well (`Driver.roams`) are touched only after meta was asked, unless it is silent.
 */
export class Claim {
  readonly records: MetaStore
  readonly lease: Lease
  readonly #registry: Registry
  readonly #options: ClaimOptions
  readonly #reach: Reach
  readonly #watch: MetaWatch | undefined
  readonly #observer: LeaseObserver
  /** Nodes are being run by what the registry says: it must not become another one under them. */
  #acts = false

  private constructor(
    registry: Registry,
    id: string,
    clusterId: string,
    options: ClaimOptions,
    watch: MetaWatch | undefined,
  ) {
    const { links, clock, telemetry, rng, driver } = options
    const { id: holder, address } = options.holder ?? { id: rng.id(), address: () => '' }
    this.#registry = registry
    this.#options = options
    this.#watch = watch
    this.#reach = new Reach(watch)
    this.#observer = options.from?.observer ?? new LeaseObserver()
    this.records = new MetaStore({ clusterId, meta: this.#reach, links, clock })
    this.lease = new Lease({
      ...{ store: this.records, clock, telemetry, holder, address, registry: id, observer: this.#observer },
      yields: driver.roams === true,
      stamp: (term, signal) => stampAll(this.records, term, signal),
      begins: (term, signal) => this.#begins(term, signal),
    })
  }

  /** Of who has nobody to ask: on a first start, or where the registry's lock says enough. */
  static async own(registry: Registry, clusterId: string, options: ClaimOptions): Promise<Claim> {
    const claim = new Claim(registry, await registry.id(options.rng), clusterId, options, undefined)
    claim.#acts = true
    return claim
  }

  /**
   * Asks meta: done when this orchestrator holds the lease and its registry is up to date, or when meta is silent and this one
   * has to bring it up. Rejects with a StartFault, or with NotHolder for one that stands by, when another one runs the nodes.
   */
  static async ask(registry: Registry, origin: Origin, options: ClaimOptions, asked: AbortSignal): Promise<Claim> {
    const { links, clock } = options
    const { clusterId, meta } = origin
    const watch = new MetaWatch({ links, clusterId, clock }, meta)
    const claim = new Claim(registry, await registry.id(options.rng), clusterId, options, watch)
    try {
      await claim.#ask(asked)
      return claim
    } catch (error) {
      await claim.close()
      throw error
    }
  }

  /** From now on meta is reached through its nodes' supervisors. */
  runs(meta: MetaReach): void {
    this.#reach.become(meta)
    // Whoever waits for one of its nodes is woken; `close` waits for the end.
    void this.#watch?.close()
  }

  async close(): Promise<void> {
    await Promise.all([this.lease.close(), this.#watch?.close()])
  }

  async #ask(asked: AbortSignal): Promise<void> {
    const { clock, startTimeoutMs, from, telemetry } = this.#options
    if (from === undefined) telemetry.emit('start.progress', { doing: 'asking meta who runs the nodes', seconds: 0 })
    const late = new AbortController()
    const silence = new AbortController()
    // Who stands by has others to follow meanwhile.
    const patienceMs = from === undefined ? startTimeoutMs : Math.min(startTimeoutMs, HEIR_PATIENCE_MS)
    const patience = clock.setTimeout(() => late.abort(new StartFault('meta answers no more')), patienceMs)
    let isHeard = false
    const listening = clock.setTimeout(() => {
      if (!isHeard && (from !== undefined || this.#observer.row === undefined))
        silence.abort(new StartFault('meta is silent'))
    }, SILENCE_MS)
    const signal = AbortSignal.any([asked, late.signal, silence.signal])
    try {
      if (from !== undefined) await this.#expectRows(signal)
      isHeard = from !== undefined
      this.lease.start()
      await this.lease.begun(signal)
    } catch (error) {
      if (from !== undefined || asked.aborted) throw error
      if (error instanceof NotHolder) throw this.#runElsewhere()
      if (!silence.signal.aborted) throw error
    } finally {
      patience.cancel()
      listening.cancel()
    }
    this.#acts = true
  }

  /** Before the lease is taken: who cannot go on with the nodes must not keep others from it. */
  async #expectRows(signal: AbortSignal): Promise<void> {
    const row = unseal((await this.records.read(CLUSTER_ROW, signal)).value)
    const map = unseal((await this.records.read(MAP_KEY, signal)).value)
    // Rows are stamped before the map: who has stamped only that knows nothing of rows, and may have changed what they say.
    if (row.term >= map.term && decodeClusterRow(row.value)?.whole === true) return
    throw new StartFault(
      'meta has no record of the nodes: who runs them does so on its own machine, or is of an earlier version',
    )
  }

  #runElsewhere(): StartFault {
    const { successor } = this.lease
    const where = successor === '' ? 'the address of its gateway' : successor
    return new StartFault(`another orchestrator runs the nodes of this cluster: start this one with --join ${where}`)
  }

  /** Everything has this term, so what is read now is what every holder before this one has left. */
  async #begins(term: number, signal: AbortSignal): Promise<void> {
    const { driver } = this.#options
    if (driver.roams === true) await this.#catchUp(term, signal)
    if (driver.lead === undefined) return
    await this.#registry.setTerm(term)
    driver.lead(term)
  }

  async #catchUp(term: number, signal: AbortSignal): Promise<void> {
    // Nobody else has ever run them.
    if (this.#watch === undefined) return
    const rows = await readRows(this.records, signal)
    // Then nobody could go on from them, but who was writing them.
    if (rows.cluster?.whole !== true) return
    const bases = await this.#registry.bases()
    const isNews = [...idsOf(rows)].some(([key, id]) => bases.get(key) !== id)
    if (!isNews) return
    if (this.#acts) throw new StaleRegistry(term)
    const map = unseal((await this.records.read(MAP_KEY, signal)).value).value
    if (map === undefined) throw new StartFault('meta has a record of the nodes, and no map')
    await this.#registry.adopt({ known: knownOf(rows.cluster, rows.groups), bases: idsOf(rows), term, map })
  }
}

/** Where meta is told to be found; whoever waits goes on there. */
class Reach implements MetaReach {
  readonly shard = 0
  #to: MetaReach | undefined
  #moved = new AbortController()

  constructor(first: MetaReach | undefined) {
    this.#to = first
  }

  get isReady(): boolean {
    return this.#to?.isReady ?? false
  }

  get leader(): MetaReach['leader'] {
    return this.#to?.leader
  }

  become(to: MetaReach): void {
    this.#to = to
    const before = this.#moved
    this.#moved = new AbortController()
    before.abort(new Error('meta is reached otherwise'))
  }

  async until(holds: () => boolean, signal: AbortSignal): Promise<void> {
    for (;;) {
      const moved = this.#moved.signal
      const either = AbortSignal.any([signal, moved])
      try {
        if (this.#to === undefined) await never(either)
        else return await this.#to.until(holds, either)
      } catch (error) {
        if (signal.aborted || !moved.aborted) throw error
      }
    }
  }
}

function never(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const end = () => reject(signal.reason as Error)
    if (signal.aborted) end()
    else signal.addEventListener('abort', end, { once: true })
  })
}

/** Where the registry says that meta is; undefined before a first start has come to its end, which nobody can have joined. */
export async function originIn(registry: Registry): Promise<Origin | undefined> {
  const cluster = await registry.cluster()
  const group = (await registry.groups()).find(({ shard }) => shard === 0)
  if (cluster === undefined || group === undefined || (await registry.map()) === undefined) return undefined
  const addresses = new Map(
    (await registry.nodes()).filter(({ shard }) => shard === 0).map((node) => [node.index, node.address]),
  )
  const meta = group.members.map(({ id, index }) => ({ id, address: addresses.get(index) ?? '' }))
  return { clusterId: cluster.clusterId, meta: meta.filter(({ address }) => address !== '') }
}
