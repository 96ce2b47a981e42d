import type { Clock } from '../core/clock.js'

/** How long what is taken may wait behind what was taken before it, ms. A longer queue costs the collector more, and gains nothing. */
const QUEUE_MS = 200
/** How often the pace is looked at. */
const LOOK_MS = 100
/** Whatever the pace: a full message, for shards that are slow or have no leader for a moment. */
const OPERATIONS_MIN = 4096
/** An older look counts for so much less with each newer one. */
const WEIGHT = 0.5

/** How many operations end in a second, and so how many may be in flight without waiting for too long. */
export class Pace {
  #ended = 0
  #since: number
  #perMs = Number.POSITIVE_INFINITY

  constructor(private readonly clock: Clock) {
    this.#since = clock.monotonic()
  }

  ended(): void {
    this.#ended++
  }

  get operationsMax(): number {
    const ms = this.clock.monotonic() - this.#since
    if (ms >= LOOK_MS) this.#look(ms)
    return Math.max(OPERATIONS_MIN, this.#perMs * QUEUE_MS)
  }

  #look(ms: number): void {
    const seen = this.#ended / ms
    // A pace is what is done when there is enough to do: who has been idle has shown none.
    const known = Number.isFinite(this.#perMs) ? this.#perMs : seen
    this.#perMs = Math.max(seen, known * (1 - WEIGHT) + seen * WEIGHT)
    this.#since += ms
    this.#ended = 0
  }
}
