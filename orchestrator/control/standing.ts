import { type Clock, sleep } from '../core/clock.js'
import type { MapCell } from '../core/map-source.js'
import type { NodeInfo } from '../core/topology.js'
import type { Telemetry } from '../telemetry/index.js'
import { decodeClusterMap } from '../wire/cluster-map.js'
import type { Bystander, Situation } from '../wire/standby.js'
import type { Heir } from './claim.js'
import type { Cluster } from './cluster.js'
import { InUseFault, NotHolder } from './faults.js'
import { unseal } from './fence.js'
import { Follower } from './follower.js'
import { Lease } from './lease.js'
import { decodeLease, LEASE_KEY, LEASE_MS, LeaseObserver } from './lease-record.js'
import type { Links } from './links.js'
import { MAP_KEY } from './map-keeper.js'
import type { MetaKeys } from './meta-keys.js'
import { MetaStore } from './meta-store.js'
import { MetaWatch } from './meta-watch.js'
import type { PeerLinks } from './peers.js'
import { Rounds } from './rounds.js'
import { stampAll } from './stamp-all.js'

export interface StandingDeps {
  readonly clusterId: string
  readonly links: Links
  readonly peers: PeerLinks
  readonly clock: Clock
  readonly telemetry: Telemetry
  /** This process, as it names itself in the lease. */
  readonly holder: string
  readonly who: () => Bystander
  /** The map that everybody here routes by. */
  readonly maps: MapCell
  /** Opens the registry and runs the nodes; rejects with an InUseFault while another one has the lock. */
  readonly takeOver: (from: Heir | undefined) => Promise<Cluster>
  /** Any orchestrator can run the nodes, wherever its registry is: no lock says that nobody does. */
  readonly roams: boolean
  /** Who holds the lease, or what is known of meta, has changed. */
  readonly changed: () => void
  /** Aborted when nothing is to be finished any more. */
  readonly abandoned: AbortSignal
  /** The term of who has taken the lease from this orchestrator, and waits for the lock that it has just given up. */
  readonly successor: number | undefined
}

/** How often meta is looked at, and the lock is tried while nobody is known who holds the lease; and while this one does. */
const LOOK_MS = LEASE_MS / 10
const LOCK_MS = LEASE_MS / 50
/** A look that takes longer is given up: meta is away, and whoever waits for the next one is to be heard. */
const PATIENCE_MS = 2_000

/** An orchestrator that does not hold the control lease: it follows the map, and takes over when that is its turn. */
export class Standing {
  readonly #deps: StandingDeps
  readonly #follower: Follower
  readonly #meta: MetaWatch
  readonly #store: MetaStore
  readonly #observer = new LeaseObserver()
  readonly #looks: Rounds
  #lookAgain = (): void => {}
  /** An epoch that somebody has met. */
  #wanted = 0n
  /** Held while the lock is waited for. */
  #lease: Lease | undefined
  /** The holder before it let it go. */
  #isHandedOver = false
  #toldWhy = ''

  constructor(deps: StandingDeps, addresses: readonly string[], meta: readonly NodeInfo[]) {
    const { links, clusterId, clock } = deps
    this.#deps = deps
    this.#meta = new MetaWatch({ links, clusterId, clock }, meta)
    this.#store = new MetaStore({ clusterId, meta: this.#meta, links, clock })
    const changed = () => {
      deps.changed()
      this.#lookAgain()
    }
    const { peers, who } = deps
    this.#follower = new Follower({ peers, clock, who, heard: (said) => this.#heard(said), changed }, addresses)
    this.#looks = new Rounds({
      work: (signal) => this.#look(signal),
      // Meta is away: what is known goes on being used.
      failed: () => {},
      pauseMs: LOOK_MS,
      clock,
    })
  }

  /** Of the gateway of who says now that it holds the lease. */
  get holder(): string | undefined {
    return this.#follower.holder
  }

  /** Of the gateway of the last one that was known to. */
  get lastHolder(): string {
    return this.holder ?? this.#observer.row?.record?.address ?? ''
  }

  get addresses(): readonly string[] {
    return this.#follower.addresses
  }

  get meta(): readonly NodeInfo[] {
    return this.#meta.members
  }

  /** The keys of meta for whoever only reads. */
  get records(): Pick<MetaKeys, 'read'> {
    return {
      read: async (key, signal) => {
        const { value, version } = await this.#store.read(key, signal)
        return { value: unseal(value).value, version }
      },
    }
  }

  /** Somebody met this epoch: a map of it is looked for. */
  refresh(atLeast: bigint): void {
    if (atLeast <= this.#deps.maps.current().epoch) return
    this.#wanted = atLeast
    this.#lookAgain()
  }

  /**
   * Goes on until this orchestrator runs the nodes, or `signal` is aborted. What was handed over to it is taken over all the
   * same: else nobody would have the nodes.
   */
  async run(signal: AbortSignal): Promise<Cluster | undefined> {
    const over = new AbortController()
    const either = AbortSignal.any([signal, over.signal])
    const following = this.#follower.run(either)
    try {
      while (!signal.aborted || this.#mustFinish) {
        const until = signal.aborted ? this.#deps.abandoned : either
        const woken = this.#wake(this.#lease === undefined ? LOOK_MS : LOCK_MS, until)
        this.#looks.ask()
        const cluster = this.#deps.who().eligible ? await this.#attempt(signal) : undefined
        if (cluster !== undefined) return cluster
        await woken
      }
      return undefined
    } finally {
      over.abort()
      await Promise.all([following, this.#looks.close(), this.#lease?.close(), this.#meta.close()])
    }
  }

  #heard({ map, meta, holds, holder }: Situation): void {
    const { maps, changed } = this.#deps
    // Throws for the map of another cluster.
    maps.publish(map)
    if (meta.length > 0) this.#meta.update(meta)
    if (!holds) this.#follower.prefer(holder)
    changed()
  }

  /** At the lease, and at the map if nobody tells of it. */
  async #look(signal: AbortSignal): Promise<void> {
    const { clock, maps } = this.#deps
    const impatient = new AbortController()
    const timer = clock.setTimeout(() => impatient.abort(new Error('meta does not answer')), PATIENCE_MS)
    const either = AbortSignal.any([signal, impatient.signal])
    try {
      const row = decodeLease(await this.#store.read(LEASE_KEY, either))
      const before = this.#observer.row?.record
      this.#observer.saw(row, clock.monotonic())
      if (row.record !== undefined && row.record.address !== before?.address) this.#follower.prefer(row.record.address)
      if (this.holder !== undefined && this.#wanted <= maps.current().epoch) return
      const { value } = unseal((await this.#store.read(MAP_KEY, either)).value)
      if (value !== undefined) maps.publish(decodeClusterMap(value))
    } finally {
      timer.cancel()
    }
  }

  /**
   * The lock first: who has it knows that no other orchestrator of this machine runs the nodes. While another one has it that
   * is silent, the lease is taken before: from then on nothing that it does in meta counts, and when it can be heard
   * again it gives the lock away.
   */
  async #attempt(signal: AbortSignal): Promise<Cluster | undefined> {
    // One that does not know yet that this one has taken the lease from it says that it holds it.
    if (this.holder !== undefined && this.#lease?.isHeld !== true) {
      await this.#dropLease()
      return undefined
    }
    if (this.#defers() || !this.#isTurn()) return undefined
    const { roams, takeOver, clusterId } = this.#deps
    try {
      return await takeOver(roams ? { clusterId, meta: this.#meta.members, observer: this.#observer } : undefined)
    } catch (error) {
      if (error instanceof InUseFault) await this.#waitForLock(error)
      else if (!(error instanceof NotHolder || signal.aborted))
        this.#tellWhy(error instanceof Error ? error.message : String(error))
      return undefined
    }
  }

  get #mustFinish(): boolean {
    return this.#isHandedOver && this.#lease?.isHeld === true && !this.#deps.abandoned.aborted
  }

  /** Whether the lock is to be left to a successor that has not got it yet. */
  #defers(): boolean {
    const { successor, clock } = this.#deps
    if (successor === undefined) return false
    const { row } = this.#observer
    return row === undefined || (row.record?.term === successor && !this.#observer.isVacant(clock.monotonic()))
  }

  /** Of nodes that any orchestrator can run only the lease says whether one does. */
  #isTurn(): boolean {
    if (!this.#deps.roams || this.#lease !== undefined) return true
    return this.#observer.isVacant(this.#deps.clock.monotonic())
  }

  async #waitForLock({ owner }: InUseFault): Promise<void> {
    if (this.#lease?.lost.aborted) await this.#dropLease()
    // Of one that ends in order the lock is as good as free.
    if (this.#lease?.term !== undefined && !this.#isHandedOver) {
      const who = owner === undefined ? 'the orchestrator' : `the orchestrator with pid ${owner}`
      const words = "is silent and has the data directory's lock; if it is paused, let it go on, or end it with kill -9"
      this.#tellWhy(`${who} ${words}`)
    }
    const { clock, telemetry, holder, who } = this.#deps
    if (this.#lease !== undefined || !this.#observer.isVacant(clock.monotonic())) return
    this.#isHandedOver = this.#observer.row?.record?.released === true
    this.#lease = new Lease({
      store: this.#store,
      clock,
      telemetry,
      holder,
      address: () => who().address,
      registry: undefined,
      stamp: (term, signal) => stampAll(this.#store, term, signal),
    })
    this.#lease.start()
  }

  async #dropLease(): Promise<void> {
    await this.#lease?.close()
    this.#lease = undefined
    this.#toldWhy = ''
  }

  #tellWhy(reason: string): void {
    if (reason === this.#toldWhy) return
    this.#toldWhy = reason
    this.#deps.telemetry.emit('control.waits', { reason })
  }

  /** Resolves after so long, or when there is reason to look earlier. */
  async #wake(ms: number, signal: AbortSignal): Promise<void> {
    const woken = new AbortController()
    this.#lookAgain = () => woken.abort()
    await sleep(this.#deps.clock, ms, AbortSignal.any([signal, woken.signal])).catch(() => {})
  }
}
