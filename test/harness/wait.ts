// Waiting is for a condition, bounded, and says what it waited for. Nothing in test/ sleeps for a fixed time.
import { setTimeout as pause } from 'node:timers/promises'

const POLL_MS = 10

/** Asks `probe` until it answers something other than undefined or false. An error of the probe counts as "not yet". */
export async function until<T>(
  what: string,
  probe: () => T | undefined | false | Promise<T | undefined | false>,
  timeoutMs = 20_000,
): Promise<T> {
  const deadline = performance.now() + timeoutMs
  let last: unknown = 'not yet'
  for (;;) {
    try {
      const found = await probe()
      if (found !== undefined && found !== false) return found
    } catch (error) {
      last = error
    }
    if (performance.now() > deadline)
      throw new Error(`waited ${timeoutMs} ms for ${what}: ${String(last)}`, { cause: last })
    await pause(POLL_MS)
  }
}

/** Fails instead of hanging: for promises that must settle by themselves within `timeoutMs`. */
export async function within<T>(what: string, timeoutMs: number, promise: Promise<T>): Promise<T> {
  const timer = new AbortController()
  const late = pause(timeoutMs, undefined, { signal: timer.signal }).then(() => {
    throw new Error(`${what} took more than ${timeoutMs} ms`)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    timer.abort()
    late.catch(() => undefined)
  }
}
