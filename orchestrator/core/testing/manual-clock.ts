import type { Clock, Timer } from '../clock.js'

interface Entry {
  readonly at: number
  readonly fn: () => void
}

/** A clock that stands still until a test moves it. */
export class ManualClock implements Clock {
  #elapsed = 0
  #entries: Entry[] = []

  /** `start` is the wall clock at the beginning, ms since 1970. */
  constructor(private readonly start = 1_700_000_000_000) {}

  now(): number {
    return this.start + this.#elapsed
  }

  monotonic(): number {
    return this.#elapsed
  }

  setTimeout(fn: () => void, ms: number): Timer {
    const entry = { at: this.#elapsed + Math.max(0, ms), fn }
    this.#entries.push(entry)
    return {
      cancel: () => {
        this.#entries = this.#entries.filter((other) => other !== entry)
      },
    }
  }

  /** How many timers wait. */
  get pending(): number {
    return this.#entries.length
  }

  /** Time passes for a process that stands still: what falls due runs with the next `advance`. */
  skip(ms: number): void {
    this.#elapsed += ms
  }

  /** Moves time on, running what falls due in its order. */
  advance(ms: number): void {
    const end = this.#elapsed + ms
    for (;;) {
      const due = this.#entries.filter((entry) => entry.at <= end).sort((a, b) => a.at - b.at)[0]
      if (due === undefined) break
      this.#entries = this.#entries.filter((other) => other !== due)
      this.#elapsed = Math.max(this.#elapsed, due.at)
      due.fn()
    }
    this.#elapsed = end
  }
}
