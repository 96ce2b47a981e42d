import type { Clock } from '../core/clock.js'
import type { Rng } from '../core/rng.js'

export interface HealthOptions {
  readonly clock: Clock
  readonly rng: Rng
  /** Ms without any answer, while some are owed, after which others should be asked. Infinity: never. */
  readonly stallMs: number
}

/** How often a lane looks at deadlines and silence, and only while something waits. */
export const TICK_MS = 25
const CONNECT_MS_MAX = 1000
/** A peer that owes answers which nobody waits for any more is given up after this much silence. */
const DEAD_MS = 5000
const BACKOFF_FIRST_MS = 5
const BACKOFF_MS_MAX = 100
const STALL_FACTOR_MAX = 16

export type Verdict = 'fine' | 'stalled' | 'dead'

/**
 * What a lane believes of its peer. Silence is counted in ticks and not in time: while this process itself stood still, it
 * has no right to judge others.
 */
export class LaneHealth {
  readonly #options: HealthOptions
  #silentTicks = 0
  #stalled = false
  /** Doubles when a peer that was taken for stalled answers after all: it is slow, not gone. */
  #stallFactor = 1
  #answered = false
  #failures = 0
  #downUntil = 0

  constructor(options: HealthOptions) {
    this.#options = options
  }

  get stalled(): boolean {
    return this.#stalled
  }

  /** Whether the backoff is over. */
  get mayConnect(): boolean {
    return this.#options.clock.monotonic() >= this.#downUntil
  }

  /** From now on the peer owes something: a connection, or a first answer. */
  expect(): void {
    this.#silentTicks = 0
  }

  /** An answer came. Says whether the peer was taken for stalled. */
  heard(): boolean {
    this.#silentTicks = 0
    this.#answered = true
    if (!this.#stalled) {
      this.#stallFactor = Math.max(1, this.#stallFactor * 0.99)
      return false
    }
    this.#stalled = false
    this.#stallFactor = Math.min(STALL_FACTOR_MAX, this.#stallFactor * 2)
    return true
  }

  /** One more tick of silence while connecting. */
  tickConnecting(): Verdict {
    return ++this.#silentTicks * TICK_MS >= CONNECT_MS_MAX ? 'dead' : 'fine'
  }

  /** One more tick of silence while answers are owed. `waitedFor`: somebody still waits for one. */
  tickOwing(waitedFor: boolean): Verdict {
    const silentMs = ++this.#silentTicks * TICK_MS
    if (!waitedFor && silentMs >= DEAD_MS) return 'dead'
    if (this.#stalled || silentMs < this.#options.stallMs * this.#stallFactor) return 'fine'
    this.#stalled = true
    return 'stalled'
  }

  /** The connection is gone. One that served may be made again at once; after that there is backoff. */
  broke(): void {
    this.#failures = this.#answered ? 0 : this.#failures + 1
    this.#answered = false
    this.#stalled = false
    this.#downUntil = this.#options.clock.monotonic() + this.#backoffMs()
  }

  #backoffMs(): number {
    if (this.#failures === 0) return 0
    const ceiling = Math.min(BACKOFF_MS_MAX, BACKOFF_FIRST_MS * 2 ** Math.min(10, this.#failures - 1))
    return ceiling * (0.5 + this.#options.rng.float() / 2)
  }
}
