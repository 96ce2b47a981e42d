import type { Clock, Timer } from '../core/clock.js'
import type { Work } from './work.js'

/**
 * How long what is done waits for the rest of its message. Longer than the operations of a message are apart when all
 * is well, so that it is then answered whole; short beside what a client notices.
 */
const PART_MS = 20

/** The messages of one stream that are done in part. One timer for all of them, and none while there are none. */
export class Patience {
  readonly #clock: Clock
  readonly #over: (work: Work) => void
  /** When each one's patience is over; they began to wait in this order. */
  readonly #waiting = new Map<Work, number>()
  #timer: Timer | undefined

  constructor(clock: Clock, over: (work: Work) => void) {
    this.#clock = clock
    this.#over = over
  }

  begin(work: Work): void {
    this.#waiting.set(work, this.#clock.monotonic() + PART_MS)
    this.#timer ??= this.#clock.setTimeout(() => this.#look(), PART_MS)
  }

  /** The timer stays: on a busy stream, the next message would start it again at once. */
  end(work: Work): void {
    this.#waiting.delete(work)
  }

  close(): void {
    this.#waiting.clear()
    this.#timer?.cancel()
    this.#timer = undefined
  }

  #look(): void {
    this.#timer = undefined
    const now = this.#clock.monotonic()
    for (const [work, until] of this.#waiting) {
      if (until > now) {
        this.#timer = this.#clock.setTimeout(() => this.#look(), until - now)
        return
      }
      this.#waiting.delete(work)
      this.#over(work)
    }
  }
}
