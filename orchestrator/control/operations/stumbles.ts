import type { Clock } from '../../core/clock.js'

const PAUSE_MS_MIN = 10_000
const PAUSE_MS_MAX = 600_000

/**
 * Which of an operation's failures are worth a line in the log. It is tried again every second, and fails for one reason until
 * somebody does something: that is said once, and then more and more seldom, so that who reads the end of a log finds it.
 */
export class Stumbles {
  #reason: string | undefined
  #pauseMs = PAUSE_MS_MIN
  #againAt = 0

  constructor(private readonly clock: Clock) {}

  isNews(reason: string): boolean {
    const now = this.clock.monotonic()
    if (reason === this.#reason && now < this.#againAt) return false
    this.#pauseMs = reason === this.#reason ? Math.min(PAUSE_MS_MAX, this.#pauseMs * 2) : PAUSE_MS_MIN
    this.#reason = reason
    this.#againAt = now + this.#pauseMs
    return true
  }

  /** It got on: the same reason is news again. */
  forget(): void {
    this.#reason = undefined
  }
}
