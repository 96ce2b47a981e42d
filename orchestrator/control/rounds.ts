import { type Clock, sleep } from '../core/clock.js'

export interface RoundsOptions {
  /** One round. Idempotent: it looks at what is and does what is missing. */
  readonly work: (signal: AbortSignal) => Promise<void>
  /** A round failed; there will be another one after `pauseMs`. */
  readonly failed: (error: unknown) => void
  readonly pauseMs: number
  readonly clock: Clock
}

/** Runs rounds of work when asked: one at a time, and one more when it was asked during the last. */
export class Rounds {
  readonly #closed = new AbortController()
  #asked = false
  #running: Promise<void> | undefined

  constructor(private readonly options: RoundsOptions) {}

  ask(): void {
    this.#asked = true
    if (!this.#closed.signal.aborted) this.#running ??= this.#run()
  }

  /** No round begins any more; done when the last has ended. Its signal is aborted. */
  async close(): Promise<void> {
    this.#closed.abort(new Error('closed'))
    await this.#running
  }

  async #run(): Promise<void> {
    const { work, failed, pauseMs, clock } = this.options
    const { signal } = this.#closed
    // What asked first may be in the middle of something.
    await Promise.resolve()
    while (this.#asked && !signal.aborted) {
      this.#asked = false
      try {
        await work(signal)
      } catch (error) {
        if (signal.aborted) break
        failed(error)
        this.#asked = true
        await sleep(clock, pauseMs, signal).catch(() => {})
      }
    }
    // In the same turn as the last look at #asked: who asks later finds nobody running, and starts again.
    this.#running = undefined
  }
}
