import { sleep } from '../../core/clock.js'
import type { OperationTools } from './kind.js'
import type { OperationRecord } from './record.js'

const BACKOFF_MS_MIN = 100
const BACKOFF_MS_MAX = 10_000

/** An operation that is being carried on: what is written down of it, and whether a person wants something else by now. */
export class UnderWay<Record extends OperationRecord> {
  constructor(
    private readonly began: Record,
    private readonly tools: OperationTools,
    /** Aborted when it is cancelled meanwhile. */
    readonly recalled: AbortSignal,
    /** Aborted when the orchestrator stops. */
    readonly signal: AbortSignal,
  ) {}

  get now(): Record {
    const { id, kind } = this.began
    const found = this.tools.journal.operations.find((one) => one.id === id)
    if (found === undefined || found.kind !== kind) throw new TypeError(`no operation ${id} of kind ${kind}`)
    return found as Record
  }

  get isPaused(): boolean {
    return this.now.paused
  }

  /** Whether a person wants something else than when this began. */
  get isSteered(): boolean {
    return this.#isOther(this.now)
  }

  /** Either of what ends a wait that a person may want to end. */
  get either(): AbortSignal {
    return AbortSignal.any([this.signal, this.recalled])
  }

  async update(change: (now: Record) => Record): Promise<void> {
    // An operation never changes its kind.
    await this.tools.journal.update(this.began.id, (now) => change(now as Record), this.signal)
  }

  /** The same, unless a person wants something else by now. */
  async updateUnlessSteered(change: (now: Record) => Record): Promise<void> {
    await this.update((now) => (this.#isOther(now) ? now : change(now)))
  }

  /** Waits for what may never come: a person who cancels the operation ends the wait. */
  async unlessRecalled(wait: (signal: AbortSignal) => Promise<void>): Promise<void> {
    try {
      await wait(this.either)
    } catch (error) {
      this.signal.throwIfAborted()
      if (!this.recalled.aborted) throw error
    }
  }

  /** The pause before what has failed so many times is tried again. */
  async restAfter(attempts: number): Promise<void> {
    const ms = Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** (attempts - 1))
    await this.unlessRecalled((signal) => sleep(this.tools.clock, ms, signal))
  }

  async end(): Promise<void> {
    const endedAt = this.tools.clock.now()
    await this.updateUnlessSteered((now) => {
      if (now.paused) return now
      return { ...now, state: now.state === 'cancelling' ? 'cancelled' : 'done', endedAt }
    })
  }

  #isOther({ state, paused }: Record): boolean {
    return state !== this.began.state || paused !== this.began.paused
  }
}
