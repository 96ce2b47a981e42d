import { once } from 'node:events'
import { sleep } from '../../core/clock.js'
import type { Rng } from '../../core/rng.js'
import { InvalidArgumentError } from '../../errors/index.js'
import type { ImportResponse } from '../../wire/node-admin.js'
import { Changes } from '../changes.js'
import { refused } from '../faults.js'
import { Rounds } from '../rounds.js'
import { Debts } from './debts.js'
import { forecast } from './forecast.js'
import type { OperationParts, OperationTools, Wish } from './kind.js'
import { kindOf } from './kinds.js'
import { isOver, type OperationRecord } from './record.js'
import { Stumbles } from './stumbles.js'

export interface OperationsDeps extends OperationParts {
  readonly rng: Rng
}

/** An operation as people see it: with what is known of the move under way. */
export interface OperationView {
  readonly record: OperationRecord
  /** What it does now. */
  readonly detail: string
  /** Of the move under way. */
  readonly progress: ImportResponse | undefined
}

export type SteerHow = 'pause' | 'resume' | 'cancel'

const RETRY_MS = 1_000
/** Progress comes often. People need it less often. */
const TELL_EVERY_MS = 200

/** The operations of a cluster: one at a time, carried on by whoever runs it. */
export class Operations {
  readonly #rounds: Rounds
  readonly #debts: Debts
  readonly #stumbles: Stumbles
  readonly #changes = new Changes()
  readonly #closed = new AbortController()
  /** Aborted when the operation that is under way is cancelled. */
  #recalled = new AbortController()
  /** The state of the operation that is under way, as it was when it was taken up last. */
  #carried: OperationRecord['state'] | undefined
  /** What callers have begun. */
  readonly #begun = new Set<Promise<unknown>>()
  #detail = ''
  #progress: ImportResponse | undefined

  constructor(private readonly deps: OperationsDeps) {
    this.#rounds = new Rounds({
      work: (signal) => this.#carryOn(signal),
      failed: (error) => this.#stumbled(error),
      pauseMs: RETRY_MS,
      clock: deps.clock,
    })
    this.#debts = new Debts(deps)
    this.#stumbles = new Stumbles(deps.clock)
  }

  /** Carries on what an earlier orchestrator left, if there is anything. */
  start(): void {
    this.#rounds.ask()
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
    const open = await this.#unfinished(signal)
    if (open !== undefined) return this.#joined(open, wish)
    const planned = wish.plan(this.deps)
    if (isOver(planned)) return this.#view(planned)
    await wish.expectPossible(this.deps)
    const record = { ...planned, id: this.deps.rng.id().slice(0, ID_LENGTH) }
    try {
      const first = await this.deps.journal.create(record, signal)
      // Somebody else asked at the same moment. A second plan would be for a map that is gone by then.
      if (first !== record) return this.#joined(first, wish)
    } finally {
      // Also after a failure: what is written is carried on.
      this.#rounds.ask()
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
    // Not when it is cancelled once more: what is under way by then are the moves that lead back.
    if (record.state !== this.#carried) this.#recalled.abort(new Error('cancelled'))
    this.#changes.tell()
    this.#rounds.ask()
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
    await Promise.all([this.#rounds.close(), this.#debts.close(), Promise.allSettled(this.#begun)])
  }

  async #carryOn(signal: AbortSignal): Promise<void> {
    const record = await this.#unfinished(signal)
    if (record === undefined) return
    this.#recalled = new AbortController()
    this.#carried = record.state
    this.#detail = ''
    const tools: OperationTools = {
      ...this.deps,
      owed: () => this.#debts.ask(),
      doing: (what: string) => {
        this.#detail = what
        this.#progress = undefined
        this.#changes.tell()
      },
      heard: (progress: ImportResponse) => {
        this.#progress = progress
        this.#changes.tell()
      },
    }
    await kindOf(record).run(record, tools, this.#recalled.signal, signal)
    const now = this.deps.journal.operations.find(({ id }) => id === record.id)
    this.#stumbles.forget()
    if (now !== undefined && isOver(now)) this.deps.telemetry.emit('operation.ended', { id: now.id, how: now.state })
    this.#detail = ''
    this.#progress = undefined
    this.#changes.tell()
  }

  #stumbled(error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error)
    if (this.#stumbles.isNews(reason)) this.deps.telemetry.emit('operation.stumbled', { reason })
    this.#detail = `tried again: ${reason}`
    this.#changes.tell()
  }

  async #unfinished(signal: AbortSignal): Promise<OperationRecord | undefined> {
    return (await this.deps.journal.load(signal)).find((record) => !isOver(record))
  }

  async #find(id: string, signal: AbortSignal): Promise<OperationRecord> {
    const found = (await this.deps.journal.load(signal)).find((record) => record.id === id)
    if (found !== undefined) return found
    const message = `there is no operation ${JSON.stringify(id)}; kvorum operations lists them`
    throw new InvalidArgumentError(message, { outcome: 'not-applied' })
  }

  #joined(open: OperationRecord, wish: Wish): OperationView {
    if (wish.isMetBy(open)) return this.#view(open)
    throw refused(`operation ${open.id} is under way; kvorum operations shows it, and how to cancel it`)
  }

  #view(record: OperationRecord): OperationView {
    const active = !isOver(record)
    return { record, detail: active ? this.#detail : '', progress: active ? this.#progress : undefined }
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
