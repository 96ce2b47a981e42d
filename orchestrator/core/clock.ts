/** Where production code takes time from, so that tests can give their own. */
export interface Clock {
  /** Wall clock, ms since 1970. For people and stamps only: it may jump. */
  now(): number
  /** Ms since some fixed moment; never goes back. For deadlines and durations. */
  monotonic(): number
  setTimeout(fn: () => void, ms: number): Timer
}

export interface Timer {
  cancel(): void
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  setTimeout: (fn, ms) => {
    const handle = setTimeout(fn, ms)
    return { cancel: () => clearTimeout(handle) }
  },
}

/** Resolves after `ms`; rejects with the signal's reason when it is aborted first. No timer is left behind. */
export function sleep(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const giveUp = () => {
      timer.cancel()
      reject(reasonOf(signal))
    }
    const timer = clock.setTimeout(() => {
      signal?.removeEventListener('abort', giveUp)
      resolve()
    }, ms)
    if (signal?.aborted) giveUp()
    else signal?.addEventListener('abort', giveUp, { once: true })
  })
}

function reasonOf(signal: AbortSignal | undefined): Error {
  return signal?.reason instanceof Error ? signal.reason : new Error('aborted', { cause: signal?.reason })
}
