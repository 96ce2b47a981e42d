import { expect, test } from 'vitest'
import { sleep } from './clock.js'
import { ManualClock } from './testing/manual-clock.js'

test('sleep ends with the time', async () => {
  const clock = new ManualClock()
  const slept = sleep(clock, 10)
  clock.advance(9)
  expect(clock.pending).toBe(1)
  clock.advance(1)
  await slept
})

test('an aborted sleep rejects with the reason and leaves no timer', async () => {
  const clock = new ManualClock()
  const abort = new AbortController()
  const reason = new Error('enough')
  const slept = sleep(clock, 10, abort.signal)
  abort.abort(reason)
  await expect(slept).rejects.toBe(reason)
  await expect(sleep(clock, 10, abort.signal)).rejects.toBe(reason)
  expect(clock.pending).toBe(0)
})

test('the manual clock runs timers in their order, also those that timers set', () => {
  const clock = new ManualClock()
  const seen: string[] = []
  clock.setTimeout(() => seen.push(`b${clock.monotonic()}`), 20)
  clock.setTimeout(() => {
    seen.push(`a${clock.monotonic()}`)
    clock.setTimeout(() => seen.push(`c${clock.monotonic()}`), 5)
  }, 10)
  clock.setTimeout(() => seen.push('never'), 15).cancel()
  clock.advance(100)
  expect(seen).toEqual(['a10', 'c15', 'b20'])
})
