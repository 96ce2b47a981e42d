import type { ImportResponse } from '../../wire/node-admin.js'
import { Rounds } from '../rounds.js'
import type { KeysProgress, OperationParts, OperationTools } from './kind.js'
import { kindOf } from './kinds.js'
import { type Lane, laneOf, type OperationRecord } from './record.js'
import { isOver } from './record-fields.js'
import { Stumbles } from './stumbles.js'

/** An operation as people see it: with what is known of what it does now. */
export interface OperationView {
  readonly record: OperationRecord
  /** What it does now. */
  readonly detail: string
  /** Of the move under way. */
  readonly progress: ImportResponse | undefined
  /** Of one that works on keys: ahead of what is written down. */
  readonly keys?: KeysProgress | undefined
}

interface CarrierHooks {
  /** What people see has changed. */
  readonly changed: () => void
  /** A receiver owes something. */
  readonly owed: () => void
}

const RETRY_MS = 1_000

/** Carries on the operation of one lane that has not ended, if there is one. */
export class Carrier {
  readonly #rounds: Rounds
  readonly #stumbles: Stumbles
  /** Aborted when the operation that is under way is cancelled. */
  #recalled = new AbortController()
  /** The state of the operation that is under way, as it was when it was taken up last. */
  #carried: OperationRecord['state'] | undefined
  #detail = ''
  #progress: ImportResponse | undefined
  #keys: KeysProgress | undefined

  constructor(
    readonly lane: Lane,
    private readonly deps: OperationParts,
    private readonly hooks: CarrierHooks,
  ) {
    this.#stumbles = new Stumbles(deps.clock)
    this.#rounds = new Rounds({
      work: (signal) => this.#carryOn(signal),
      failed: (error) => this.#stumbled(error),
      pauseMs: RETRY_MS,
      clock: deps.clock,
    })
  }

  /** There may be something to be carried on. */
  ask(): void {
    this.#rounds.ask()
  }

  async unfinished(signal: AbortSignal): Promise<OperationRecord | undefined> {
    return (await this.deps.journal.load(signal)).find((record) => !isOver(record) && laneOf(record) === this.lane)
  }

  /** A person wants it another way. */
  steered({ state }: OperationRecord): void {
    // Not when it is cancelled once more: what is under way by then are the moves that lead back.
    if (state !== this.#carried) this.#recalled.abort(new Error('cancelled'))
  }

  view(record: OperationRecord): OperationView {
    if (isOver(record)) return { record, detail: '', progress: undefined }
    return { record, detail: this.#detail, progress: this.#progress, keys: this.#keys }
  }

  /** What is under way stays as it is, for whoever comes next. */
  close(): Promise<void> {
    return this.#rounds.close()
  }

  async #carryOn(signal: AbortSignal): Promise<void> {
    const record = await this.unfinished(signal)
    if (record === undefined) return
    this.#recalled = new AbortController()
    this.#carried = record.state
    this.#tell('')
    await kindOf(record).run(record, this.#tools(), this.#recalled.signal, signal)
    const now = this.deps.journal.operations.find(({ id }) => id === record.id)
    this.#stumbles.forget()
    if (now !== undefined && isOver(now)) this.deps.telemetry.emit('operation.ended', { id: now.id, how: now.state })
    this.#keys = undefined
    this.#tell('')
  }

  #tools(): OperationTools {
    return {
      ...this.deps,
      owed: this.hooks.owed,
      doing: (what) => this.#tell(what),
      heard: (progress) => {
        this.#progress = progress
        this.hooks.changed()
      },
      walked: (keys) => {
        this.#keys = keys
        this.hooks.changed()
      },
    }
  }

  #tell(what: string): void {
    this.#detail = what
    this.#progress = undefined
    this.hooks.changed()
  }

  #stumbled(error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error)
    if (this.#stumbles.isNews(reason)) this.deps.telemetry.emit('operation.stumbled', { reason })
    this.#detail = `tried again: ${reason}`
    this.hooks.changed()
  }
}
