import { type Clock, systemClock, type Timer } from '../../core/clock.js'

/** A clock on which everything takes a hundredth of its time, and which can be stopped for good. */
export class ScaledClock implements Clock {
  #stopped = false
  readonly #timers = new Set<Timer>()

  constructor(private readonly factor = 100) {}

  now(): number {
    return 1_700_000_000_000 + Math.floor(this.monotonic())
  }

  monotonic(): number {
    return systemClock.monotonic() * this.factor
  }

  setTimeout(fn: () => void, ms: number): Timer {
    if (this.#stopped) return { cancel: () => {} }
    const cancel = () => {
      this.#timers.delete(timer)
      real.cancel()
    }
    const timer: Timer = { cancel }
    const real = systemClock.setTimeout(() => {
      this.#timers.delete(timer)
      fn()
    }, ms / this.factor)
    this.#timers.add(timer)
    return timer
  }

  /** Nothing fires any more: who waits on it waits for ever, as the dead do. */
  stop(): void {
    this.#stopped = true
    for (const timer of [...this.#timers]) timer.cancel()
  }
}
