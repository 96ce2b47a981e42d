import { setMaxListeners } from 'node:events'
import { MapCell, type MapSource } from '../core/map-source.js'
import type { ClusterMap, NodeInfo } from '../core/topology.js'
import { UnavailableError } from '../errors/index.js'
import type { ControlHandlers } from '../wire/control.js'
import type { Bystander, Situation, StandbyHandlers } from '../wire/standby.js'
import { aborted } from './aborted.js'
import { Changes } from './changes.js'
import type { Heir } from './claim.js'
import { type Cluster, type ClusterOptions, type Stop, startCluster } from './cluster.js'
import { NotHolder } from './faults.js'
import { forwardedHandlers } from './forwarded.js'
import { firstWord } from './join.js'
import { lookAtNodes } from './look.js'
import { toWire } from './operations/handlers.js'
import { readOperations } from './operations/journal.js'
import type { PeerLinks } from './peers.js'
import { expectNotOfAnother, whyNotTheirs } from './same-data.js'
import type { Shape } from './shape.js'
import { Standing } from './standing.js'

export interface OrchestratorOptions extends Omit<ClusterOptions, 'holder' | 'takesOver' | 'from'> {
  readonly peers: PeerLinks
}

/**
 * - `holder`: it holds the control lease and runs the nodes
 * - `standby`: it routes, and takes over when the holder goes
 * - `router`: it routes, and cannot take over: the nodes' data is elsewhere
 */
export type Role = 'holder' | 'standby' | 'router'

/**
 * Who runs the nodes when this orchestrator has ended: nobody, since they were stopped, but for those that go on (which, and why);
 * or the one at this address.
 */
export type Ending =
  | { readonly nodes: 'stopped'; readonly but?: string }
  | { readonly nodes: 'left'; readonly to: string }

/** How often whoever stands by is told of what no event tells: where meta's nodes are. */
const TELL_EVERY_MS = 1_000

interface Known {
  readonly map: ClusterMap
  readonly meta: readonly NodeInfo[]
  readonly addresses: readonly string[]
}

/** One of any number of orchestrators of a cluster. Whatever its role becomes, what it gives stays the same. */
export class Orchestrator {
  readonly #options: OrchestratorOptions
  readonly #id: string
  readonly #maps: MapCell
  readonly #bystanders = new Set<Bystander>()
  readonly #changes = new Changes()
  readonly #ending = new AbortController()
  /** Aborted when it is to end at once, whatever it is about to take over. */
  readonly #abandoned = new AbortController()
  readonly control: ControlHandlers
  /** Where its gateway does; empty until then. */
  readonly #listening: { address: string }
  #known: Known
  #cluster: Cluster | undefined
  #standing: Standing | undefined
  /** The term of the last one that has taken the lease from this orchestrator. */
  #successor: number | undefined
  /** It has let go of the lease, or is about to. */
  #retires = false
  #ended: Ending | undefined
  #roles: Promise<void> = Promise.resolve()

  /** Starts the cluster of this data directory, or adopts it. As startCluster, whose faults it rejects with. */
  static async found(options: OrchestratorOptions, stop: Stop): Promise<Orchestrator> {
    const id = options.rng.id()
    const listening = { address: '' }
    const cluster = await startFresh({ ...options, holder: { id, address: () => listening.address } }, stop)
    const known = { map: cluster.maps.current(), meta: cluster.meta(), addresses: [] }
    const orchestrator = new Orchestrator(options, id, known, listening)
    orchestrator.#begin(cluster)
    return orchestrator
  }

  /**
   * Joins the cluster that these gateways serve. Rejects with a StartFault when none of them answers in time, and when the data
   * directory is another cluster's.
   */
  static async join(options: OrchestratorOptions, endpoints: readonly string[], stop: Stop): Promise<Orchestrator> {
    const { map, meta, holds, holder, from } = await firstWord(options, endpoints, stop.asked)
    const { directory, driver, pid } = options
    await expectNotOfAnother(directory, map.clusterId, { pid, roams: driver.roams === true })
    const addresses = [holds ? from : holder, ...endpoints].filter((address) => address !== '')
    const known = { map, meta, addresses: [...new Set(addresses)] }
    const orchestrator = new Orchestrator(options, options.rng.id(), known, { address: '' })
    orchestrator.#begin(undefined)
    return orchestrator
  }

  private constructor(options: OrchestratorOptions, id: string, known: Known, listening: { address: string }) {
    // Every node listens to it.
    setMaxListeners(0, this.#ending.signal, this.#abandoned.signal)
    this.#options = options
    this.#id = id
    this.#listening = listening
    this.#known = known
    this.#maps = new MapCell(known.map, (atLeast) => {
      this.#cluster?.maps.refresh(atLeast)
      this.#standing?.refresh(atLeast)
    })
    this.control = this.#handlers()
  }

  get maps(): MapSource {
    return this.#maps
  }

  get shape(): Shape {
    const { shards } = this.#maps.current()
    return (
      this.#cluster?.shape ?? { shards: shards.length, replicas: Math.max(...shards.map(({ nodes }) => nodes.length)) }
    )
  }

  get role(): Role {
    if (this.#cluster !== undefined) return 'holder'
    return this.#isEligible ? 'standby' : 'router'
  }

  /** Its gateway listens here: others are told. */
  listens(address: string): void {
    this.#listening.address = address
    this.#cluster?.lease.moved()
  }

  /**
   * Lets another one have the nodes, if one stands by; else they are its own until `stop`. To be called while its gateway
   * still serves.
   */
  async retire(forced: AbortSignal): Promise<void> {
    const stands = [...this.#bystanders].some(({ eligible }) => eligible)
    const [before, holder] = [this.#cluster, this.#standing?.holder ?? '']
    this.#retires = true
    this.#changes.tell()
    this.#ending.abort(new Error('the orchestrator ends'))
    const abandon = () => this.#abandoned.abort(new Error('the orchestrator ends at once'))
    forced.addEventListener('abort', abandon, { once: true })
    if (forced.aborted) abandon()
    await this.#roles
    forced.removeEventListener('abort', abandon)
    const cluster = this.#cluster
    if (cluster === undefined) {
      this.#ended = { nodes: 'left', to: holder }
      return
    }
    const { lease } = cluster
    const term = lease.term ?? 0
    // Of whom it has just taken over from others may stand by who have not found this one yet.
    const offers = stands || before === undefined
    if (!(lease.lost.aborted || (offers && (await lease.handOver(forced))))) return
    this.#options.telemetry.emit('control.handed', { term })
    await cluster.leave()
    this.#cluster = undefined
    this.#ended = { nodes: 'left', to: lease.successor }
  }

  /** Stops the nodes, if they are its own. */
  async stop(forced: AbortSignal): Promise<Ending> {
    if (!this.#retires) await this.retire(forced)
    const but = await this.#cluster?.stop(forced)
    return this.#ended ?? { nodes: 'stopped', ...(but === undefined ? {} : { but }) }
  }

  /** What others are told of this one. */
  readonly standby: StandbyHandlers = { standBy: (who, signal) => this.#situations(who, signal) }

  get #isEligible(): boolean {
    return this.#ineligible === undefined
  }

  /** Why it can never take over; undefined if it can. */
  get #ineligible(): string | undefined {
    const { driver, directory } = this.#options
    if (driver.roams === true) return undefined
    return whyNotTheirs(directory, this.#known.map.clusterId, this.#known.meta)
  }

  #begin(cluster: Cluster | undefined): void {
    this.#cluster = cluster
    // It ends with `retire`, and every failure ends in another try.
    this.#roles = this.#live(cluster)
  }

  /** Holds the lease and stands by in turn. */
  async #live(first: Cluster | undefined): Promise<void> {
    const { signal } = this.#ending
    let cluster = first
    while (!signal.aborted) {
      if (cluster !== undefined) await this.#hold(cluster)
      if (!signal.aborted) cluster = await this.#stand(signal)
    }
    // Taken over in the moment in which it was to end: it is let go, or stopped, as one that was held.
    if (cluster !== undefined) this.#cluster = cluster
  }

  /** Until another one has the lease, or this one ends. */
  async #hold(cluster: Cluster): Promise<void> {
    this.#cluster = cluster
    const publish = (map: ClusterMap) => void this.#maps.publish(map)
    const unsubscribe = cluster.maps.subscribe(publish)
    publish(cluster.maps.current())
    this.#changes.tell()
    const { lost } = cluster.lease
    await aborted(AbortSignal.any([lost, this.#ending.signal]))
    if (this.#ending.signal.aborted) return
    unsubscribe()
    this.#successor = lost.reason instanceof NotHolder ? lost.reason.term : 0
    this.#options.telemetry.emit('control.deposed', { term: this.#successor })
    const successors = [cluster.lease.successor, ...[...this.#bystanders].map(({ address }) => address)]
    const addresses = [...new Set([...successors, ...this.#known.addresses])].filter((one) => one !== '')
    this.#known = { map: this.#maps.current(), meta: cluster.meta(), addresses }
    this.#cluster = undefined
    this.#changes.tell()
    await cluster.leave()
  }

  /** Until this one runs the nodes, or ends. */
  async #stand(signal: AbortSignal): Promise<Cluster | undefined> {
    const { map, meta, addresses } = this.#known
    const { links, peers, clock, telemetry } = this.#options
    const ineligible = this.#ineligible
    const eligible = ineligible === undefined
    const deps = {
      ...{ clusterId: map.clusterId, links, peers, clock, telemetry, holder: this.#id, maps: this.#maps },
      who: () => ({ address: this.#listening.address, eligible }),
      takeOver: (from: Heir | undefined) => this.#takeOver(from),
      roams: this.#options.driver.roams === true,
      changed: () => this.#changes.tell(),
      abandoned: this.#abandoned.signal,
      successor: this.#successor,
    }
    const standing = new Standing(deps, addresses, meta)
    this.#standing = standing
    const reason = eligible
      ? 'this one routes, and takes over when that one goes'
      : `this one only routes and can never take over, since ${ineligible}. For that it needs the --data of that one, on its machine`
    telemetry.emit('control.follows', { holder: addresses[0] ?? '', reason })
    try {
      return await standing.run(signal)
    } finally {
      const addresses = this.#othersOf(standing)
      this.#known = { map: this.#maps.current(), meta: standing.meta, addresses }
      this.#standing = undefined
    }
  }

  /** The gateways of others, that of the last holder first: one that ended in order has named this one as the next. */
  #othersOf({ lastHolder, addresses }: Standing): string[] {
    const others = [lastHolder, ...addresses].filter((one) => one !== '' && one !== this.#listening.address)
    return [...new Set(others)]
  }

  async #takeOver(from: Heir | undefined): Promise<Cluster> {
    const holder = { id: this.#id, address: () => this.#listening.address }
    // Also when it is to end: then it has the nodes, and can stop them.
    const stop = { asked: this.#abandoned.signal, forced: this.#abandoned.signal }
    const [before = ''] = this.#standing === undefined ? [] : this.#othersOf(this.#standing)
    const cluster = await startCluster({ ...this.#options, shape: {}, holder, takesOver: true, from }, stop)
    this.#options.telemetry.emit('control.taken', { term: cluster.lease.term ?? 0, from: before })
    return cluster
  }

  #handlers(): ControlHandlers {
    const { peers, clock, links } = this.#options
    return forwardedHandlers({
      peers,
      clock,
      own: () => this.#cluster?.control,
      holder: () => this.#standing?.holder,
      change: (signal) => this.#changes.next(signal),
      look: async () => {
        const map = this.#maps.current()
        return { epoch: map.epoch, groups: await lookAtNodes(map, this.#standing?.meta ?? this.#known.meta, links) }
      },
      journal: async (signal) => {
        const { records } = this.#standing ?? {}
        if (records === undefined) throw new UnavailableError('it is about to take over', { outcome: 'not-applied' })
        const found = await readOperations(records, signal)
        return found.map((record) => toWire({ record, detail: '', progress: undefined }))
      },
    })
  }

  async *#situations(who: Bystander, signal: AbortSignal): AsyncGenerator<Situation> {
    const either = AbortSignal.any([signal, this.#ending.signal])
    const unsubscribe = this.#maps.subscribe(() => this.#changes.tell())
    this.#bystanders.add(who)
    try {
      let told = ''
      while (!either.aborted) {
        const lapse = new AbortController()
        const changed = this.#changes.next(AbortSignal.any([either, lapse.signal]))
        const now = this.#situation()
        const words = [now.map.epoch, JSON.stringify(now.map.shards), JSON.stringify({ ...now, map: '' })].join()
        if (words !== told) yield now
        told = words
        const timer = this.#options.clock.setTimeout(() => lapse.abort(), TELL_EVERY_MS)
        await changed
        timer.cancel()
      }
    } finally {
      this.#bystanders.delete(who)
      unsubscribe()
    }
  }

  #situation(): Situation {
    const map = this.#maps.current()
    const cluster = this.#cluster
    if (cluster !== undefined) {
      const holds = !this.#retires && !cluster.lease.lost.aborted
      return { map, meta: cluster.meta(), holder: holds ? this.#listening.address : cluster.lease.successor, holds }
    }
    return { map, meta: this.#standing?.meta ?? [], holder: this.#standing?.holder ?? '', holds: false }
  }
}

/** What was begun while meta was silent, and turned out to be another one's by now, is begun again by what meta says. */
async function startFresh(options: ClusterOptions, stop: Stop): Promise<Cluster> {
  for (;;) {
    try {
      return await startCluster(options, stop)
    } catch (error) {
      if (!(error instanceof NotHolder) || stop.asked.aborted) throw error
    }
  }
}
