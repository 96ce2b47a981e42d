import { once } from 'node:events'
import { sleep } from '../../core/clock.js'
import type { Rng } from '../../core/rng.js'
import { invalidArgument } from '../../errors/index.js'
import { Changes } from '../changes.js'
import { refused } from '../faults.js'
import { Carrier, type OperationView } from './carrier.js'
import { Debts } from './debts.js'
import { forecast } from './forecast.js'
import type { OperationParts, Wish } from './kind.js'
import { kindOf } from './kinds.js'
import { type Lane, laneOf, type OperationRecord } from './record.js'
import { isOver } from './record-fields.js'

export interface OperationsDeps extends OperationParts {
  readonly rng: Rng
}

export type SteerHow = 'pause' | 'resume' | 'cancel'

/** Progress comes often. People need it less often. */
const TELL_EVERY_MS = 200

/** The operations of a cluster: one of each lane at a time, carried on by whoever runs it. */
export class Operations {
  readonly #carriers: Readonly<Record<Lane, Carrier>>
  readonly #debts: Debts
  readonly #changes = new Changes()
  readonly #closed = new AbortController()
  /** What callers have begun. */
  readonly #begun = new Set<Promise<unknown>>()

  constructor(private readonly deps: OperationsDeps) {
    this.#debts = new Debts(deps)
    const hooks = { changed: () => this.#changes.tell(), owed: () => this.#debts.ask() }
    this.#carriers = { cluster: new Carrier('cluster', deps, hooks), keys: new Carrier('keys', deps, hooks) }
  }

  /** Carries on what an earlier orchestrator left, if there is anything. */
  start(): void {
    for (const carrier of Object.values(this.#carriers)) carrier.ask()
    this.#debts.ask()
  }

  /**
   * Begins what a person wishes for; gives the operation that does this already, if there is one. One without an id when
   * nothing is to be done: it is done, and was never begun.
   */
  begin(wish: Wish, signal: AbortSignal): Promise<OperationView> {
    return this.#whole(signal, (life) => this.#begin(wish, life))
  }

  async #begin(wish: Wish, signal: AbortSignal): Promise<OperationView> {
    const carrier = this.#carriers[wish.lane ?? 'cluster']
    const open = await carrier.unfinished(signal)
    const joined = open && (await this.#joined(open, wish, signal))
    if (joined !== undefined) return this.#view(joined)
    const planned = wish.plan(this.deps)
    if (isOver(planned)) return this.#view(planned)
    await wish.expectPossible(this.deps)
    const record = { ...planned, id: this.deps.rng.id().slice(0, ID_LENGTH) }
    try {
      const first = await this.deps.journal.create(record, signal)
      // Somebody else asked at the same moment. A second plan would be for a map that is gone by then.
      if (first !== record) return await this.#begin(wish, signal)
    } finally {
      // Also after a failure: what is written is carried on.
      carrier.ask()
    }
    this.deps.telemetry.emit('operation.begun', { id: record.id, what: kindOf(record).describe(record) })
    this.#changes.tell()
    return this.#view(record)
  }

  /** What `begin` would do now; the detail is what speaks against it. */
  async plan(wish: Wish): Promise<OperationView> {
    const { record, risks } = await forecast(wish.plan(this.deps), this.deps)
    return { record, detail: risks, progress: undefined }
  }

  /** Newest first. */
  list(signal: AbortSignal): Promise<readonly OperationView[]> {
    return this.#whole(signal, async (life) => (await this.deps.journal.load(life)).map((record) => this.#view(record)))
  }

  steer(id: string, how: SteerHow, signal: AbortSignal): Promise<OperationView> {
    return this.#whole(signal, (life) => this.#steer(id, how, life))
  }

  async #steer(id: string, how: SteerHow, signal: AbortSignal): Promise<OperationView> {
    await this.#find(id, signal)
    const record = await this.deps.journal.update(id, (now) => steered(now, how), signal)
    const carrier = this.#carriers[laneOf(record)]
    carrier.steered(record)
    this.#changes.tell()
    carrier.ask()
    return this.#view(record)
  }

  /**
   * Does it to its end, also when the caller has no patience for it: what was begun in meta may happen at any later time, and
   * nobody would know of it.
   */
  async #whole<T>(impatient: AbortSignal, work: (life: AbortSignal) => Promise<T>): Promise<T> {
    impatient.throwIfAborted()
    const done = work(this.#closed.signal)
    this.#begun.add(done)
    const forget = () => this.#begun.delete(done)
    done.then(forget, forget)
    const over = new AbortController()
    const gone = once(impatient, 'abort', { signal: over.signal }).then(() => impatient.throwIfAborted())
    gone.catch(() => {})
    try {
      return (await Promise.race([done, gone])) as T
    } finally {
      over.abort()
    }
  }

  /** The operation now and whenever it has got further, until it has ended or `signal` is aborted. */
  async *watch(id: string, patience: AbortSignal, signal: AbortSignal): AsyncGenerator<OperationView> {
    await this.#whole(patience, (life) => this.#find(id, life))
    const either = AbortSignal.any([signal, this.#closed.signal])
    while (!either.aborted) {
      const changed = this.#changes.next(either)
      const record = this.deps.journal.operations.find((one) => one.id === id)
      if (record !== undefined) yield this.#view(record)
      if (record !== undefined && isOver(record)) return
      await changed
      await sleep(this.deps.clock, TELL_EVERY_MS, either).catch(() => {})
    }
  }

  /** What is under way stays as it is, for whoever comes next. */
  async close(): Promise<void> {
    this.#closed.abort(new Error('the orchestrator stops'))
    const carried = Object.values(this.#carriers).map((carrier) => carrier.close())
    await Promise.all([...carried, this.#debts.close(), Promise.allSettled(this.#begun)])
  }

  async #find(id: string, signal: AbortSignal): Promise<OperationRecord> {
    const found = (await this.deps.journal.load(signal)).find((record) => record.id === id)
    if (found !== undefined) return found
    const message = `there is no operation ${JSON.stringify(id)}; kvorum operations lists them`
    throw invalidArgument(message)
  }

  /** What is under way, when it does what is wished for; undefined: it has just ended. */
  async #joined(open: OperationRecord, wish: Wish, signal: AbortSignal): Promise<OperationRecord | undefined> {
    const { join, isMetBy } = wish
    if (!isMetBy(open))
      throw refused(`operation ${open.id} is under way; kvorum operations shows it, and how to cancel it`)
    if (join === undefined) return open
    const now = await this.deps.journal.update(open.id, (one) => (isMetBy(one) ? join(one) : one), signal)
    return isMetBy(now) ? now : undefined
  }

  #view(record: OperationRecord): OperationView {
    return this.#carriers[laneOf(record)].view(record)
  }
}

/** Enough for the few that are kept, and short enough to be typed. */
const ID_LENGTH = 8

function steered(now: OperationRecord, how: SteerHow): OperationRecord {
  if (isOver(now)) throw refused(`operation ${now.id} has ended`)
  if (how === 'resume' && now.state === 'cancelling' && !now.paused) {
    throw refused(`operation ${now.id} is being cancelled: it is not paused, and cannot go forward any more`)
  }
  if (how !== 'cancel') return { ...now, paused: how === 'pause' }
  return { ...kindOf(now).cancelled(now), state: 'cancelling', paused: false }
}
