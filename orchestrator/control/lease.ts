import { type Clock, sleep } from '../core/clock.js'
import type { Telemetry } from '../telemetry/index.js'
import { Changes } from './changes.js'
import { NotHolder } from './faults.js'
import type { Tenure } from './fence.js'
import {
  decodeLease,
  encodeLease,
  LEASE_KEY,
  LEASE_MS,
  LeaseObserver,
  type LeaseRecord,
  type LeaseRow,
} from './lease-record.js'
import type { MetaStore } from './meta-store.js'
import { Rounds } from './rounds.js'

export interface LeaseDeps {
  readonly store: MetaStore
  readonly clock: Clock
  readonly telemetry: Telemetry
  /** This process, among all orchestrators that there have ever been. */
  readonly holder: string
  /** Of its gateway; empty until that listens. */
  readonly address: () => string
  /**
   * The registry that this process has the lock of. A holder of the same registry is dead then, or has only waited for the
   * lock, and the lease need not run out first. Undefined: it has no lock, and waits for the one of the holder before it.
   */
  readonly registry: string | undefined
  /** Writes the term over everything that a holder writes. Rejects with NotHolder. */
  readonly stamp: (term: number, signal: AbortSignal) => Promise<void>
  /** From now on this is the term; done before anything is done in it. Rejects with NotHolder when it must not be. */
  readonly begins?: (term: number, signal: AbortSignal) => Promise<void>
  /** What has been seen of the lease so far. Default: nothing. */
  readonly observer?: LeaseObserver
  /** Gives up as soon as it is seen that the holder of another registry lives, rather than wait for its end. Default false. */
  readonly yields?: boolean
}

/** Half of LEASE_MS and some: the rest is for clocks that run at different speeds, and for what is on its way. */
const HELD_MS = LEASE_MS * 0.6
const RENEW_MS = LEASE_MS / 5
const LOOK_MS = LEASE_MS / 10
/** How long somebody who stands by may take to take over from a holder that ends. */
const HANDOVER_MS = 3_000
const HANDOVER_LOOK_MS = 50

/**
 * The control lease: takes it when it is free, has every record stamped with its term, and renews it, until somebody else
 * has it or `close`. While meta is away it waits, and holds nothing once its time is over.
 */
export class Lease implements Tenure {
  readonly #deps: LeaseDeps
  readonly #observer: LeaseObserver
  readonly #rounds: Rounds
  readonly #lost = new AbortController()
  readonly #changes = new Changes()
  /** As this process wrote it last. */
  #mine: { readonly record: LeaseRecord; readonly version: bigint } | undefined
  #isStamped = false
  #successor = ''
  /** Monotonic: when the last renewal was sent. */
  #renewedAt = Number.NEGATIVE_INFINITY

  constructor(deps: LeaseDeps) {
    this.#deps = deps
    this.#observer = deps.observer ?? new LeaseObserver()
    this.#rounds = new Rounds({
      work: (signal) => this.#round(signal),
      failed: (error) => {
        if (!(error instanceof NotHolder)) deps.telemetry.emit('fault', { where: 'the control lease', error })
      },
      pauseMs: LOOK_MS,
      clock: deps.clock,
    })
  }

  /** Aborted, with a NotHolder, when another one has the lease that this one had. */
  get lost(): AbortSignal {
    return this.#lost.signal
  }

  /** Undefined until it has begun, and when it is over. */
  get term(): number | undefined {
    return this.#isStamped && !this.lost.aborted ? this.#mine?.record.term : undefined
  }

  /** Of the gateway of whoever has it now that this one has lost it; empty when that is not known. */
  get successor(): string {
    return this.#successor
  }

  get isHeld(): boolean {
    return this.term !== undefined && this.#deps.clock.monotonic() - this.#renewedAt < HELD_MS
  }

  /** Takes the lease as soon as it may, and keeps it. Called again: nothing. */
  start(): void {
    this.#rounds.ask()
  }

  async begun(signal: AbortSignal): Promise<number> {
    await this.#until(() => this.term !== undefined, signal)
    return this.term as number
  }

  async held(signal: AbortSignal): Promise<number> {
    await this.#until(() => this.isHeld, signal)
    return this.term as number
  }

  deposed(term: number, why = new NotHolder(term)): void {
    if (this.lost.aborted) return
    this.#lost.abort(why)
    this.#tell()
  }

  /** The gateway listens elsewhere: everybody is told with the next renewal, which is now. */
  moved(): void {
    this.#wake()
  }

  /**
   * Lets whoever stands by have the lease, and says whether somebody took it. If nobody does in time it is this one's again,
   * for sure; it is not renewed any more.
   */
  async handOver(force: AbortSignal): Promise<boolean> {
    await this.#rounds.close()
    // It has never had it.
    if (this.#mine === undefined) return this.lost.aborted
    const { store, clock } = this.#deps
    const patience = new AbortController()
    const timer = clock.setTimeout(() => patience.abort(new Error('nobody took the lease')), HANDOVER_MS)
    const signal = AbortSignal.any([patience.signal, force])
    try {
      if (!(await this.#write({ released: true }, signal))) return true
      while (!this.lost.aborted) {
        await sleep(clock, HANDOVER_LOOK_MS, signal)
        this.#compare(decodeLease(await store.read(LEASE_KEY, signal)))
      }
      return true
    } catch {
      // Meta is away, or nobody is there.
      return await this.#takeBack(force)
    } finally {
      timer.cancel()
    }
  }

  /** Holds nothing any more, and lets it run out. */
  async close(): Promise<void> {
    await this.#rounds.close()
  }

  async #takeBack(force: AbortSignal): Promise<boolean> {
    if (this.lost.aborted) return true
    const brief = new AbortController()
    const timer = this.#deps.clock.setTimeout(() => brief.abort(new Error('meta is away')), HANDOVER_MS)
    try {
      return !(await this.#write({ released: false }, AbortSignal.any([brief.signal, force])))
    } catch {
      return this.lost.aborted
    } finally {
      timer.cancel()
    }
  }

  /** Takes it, or renews it, for as long as there is nothing else to be done. */
  async #round(signal: AbortSignal): Promise<void> {
    while (!this.lost.aborted) {
      if (this.#mine === undefined) await this.#take(signal)
      else if (!this.#isStamped) await this.#begin(this.#mine.record.term, signal)
      else {
        await this.#pause(RENEW_MS, signal)
        await this.#write({}, signal)
      }
    }
  }

  async #take(signal: AbortSignal): Promise<void> {
    const { store, clock, holder, address } = this.#deps
    const row = decodeLease(await store.read(LEASE_KEY, signal))
    const before = this.#observer.row
    this.#observer.saw(row, clock.monotonic())
    const registry = this.#deps.registry ?? row.record?.registry
    const isOurs = this.#deps.registry !== undefined && row.record?.registry === registry
    if (registry === undefined || !(isOurs || this.#observer.isVacant(clock.monotonic()))) {
      if (this.#deps.yields === true && before !== undefined && before.version !== row.version) this.#compare(row)
      await this.#pause(LOOK_MS, signal)
      return
    }
    const term = (row.record?.term ?? 0) + 1
    const record = { format: 1, term, holder, address: address(), registry, renewals: 0, released: false } as const
    const sentAt = clock.monotonic()
    const version = await store.replace(LEASE_KEY, encodeLease(record), row.version, signal)
    if (version === undefined) return
    this.#mine = { record, version }
    this.#renewedAt = sentAt
  }

  /** Everything that an earlier holder might still do to what is written is void when this is done. */
  async #begin(term: number, signal: AbortSignal): Promise<void> {
    const { stamp, begins, telemetry } = this.#deps
    try {
      await stamp(term, signal)
      await begins?.(term, signal)
    } catch (error) {
      if (error instanceof NotHolder) this.deposed(error.term, error)
      throw error
    }
    this.#isStamped = true
    telemetry.emit('control.held', { term })
    this.#tell()
  }

  /** Renews it. False when another one has it. Its time counts from when this was sent, which is before anybody can see it. */
  async #write(change: Partial<LeaseRecord>, signal: AbortSignal): Promise<boolean> {
    const { store, clock, address } = this.#deps
    while (this.#mine !== undefined && !this.lost.aborted) {
      const { record, version } = this.#mine
      const next = { ...record, ...change, address: address(), renewals: record.renewals + 1 }
      const sentAt = clock.monotonic()
      const written = await store.replace(LEASE_KEY, encodeLease(next), version, signal)
      if (written !== undefined) {
        this.#mine = { record: next, version: written }
        this.#renewedAt = sentAt
        this.#tell()
        return true
      }
      this.#compare(decodeLease(await store.read(LEASE_KEY, signal)))
    }
    return false
  }

  /** A row that is not as it was written: ours, if an answer was lost, else somebody else's. */
  #compare(row: LeaseRow): void {
    const { record, version } = row
    const mine = this.#mine?.record
    if (record !== undefined && mine !== undefined && record.holder === mine.holder && record.term === mine.term) {
      this.#mine = { record, version }
      return
    }
    this.#successor = record?.address ?? ''
    this.deposed(record?.term ?? 0)
  }

  #tell(): void {
    this.#changes.tell()
  }

  /** Ends the pause between two renewals. */
  #wake = (): void => {}

  async #pause(ms: number, signal: AbortSignal): Promise<void> {
    const woken = new AbortController()
    this.#wake = () => woken.abort()
    await sleep(this.#deps.clock, ms, AbortSignal.any([signal, woken.signal, this.lost])).catch(() => {})
    signal.throwIfAborted()
  }

  async #until(holds: () => boolean, signal: AbortSignal): Promise<void> {
    await this.#changes.until(holds, AbortSignal.any([signal, this.lost]))
    this.lost.throwIfAborted()
  }
}
