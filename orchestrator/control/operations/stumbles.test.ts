import { expect, test } from 'vitest'
import { ManualClock } from '../../core/testing/manual-clock.js'
import { Stumbles } from './stumbles.js'

/** When (in s) a failure for this reason once a second is said. */
function saidOf(stumbles: Stumbles, clock: ManualClock, reason: string, seconds: number): number[] {
  return Array.from({ length: seconds }, (_, at) => at).filter(() => {
    const isNews = stumbles.isNews(reason)
    clock.advance(1_000)
    return isNews
  })
}

test('a reason that stays is said less and less often, and never not at all', () => {
  const clock = new ManualClock()
  const stumbles = new Stumbles(clock)
  expect(saidOf(stumbles, clock, 'm3 is away', 2_000)).toEqual([0, 10, 30, 70, 150, 310, 630, 1230, 1830])
})

test('another reason is said at once, and the first one as well when it is back', () => {
  const clock = new ManualClock()
  const stumbles = new Stumbles(clock)
  saidOf(stumbles, clock, 'm3 is away', 200)
  expect(saidOf(stumbles, clock, 'meta has no leader', 15)).toEqual([0, 10])
  expect(saidOf(stumbles, clock, 'm3 is away', 15)).toEqual([0, 10])
})

test('what an operation that has ended failed by is news to the next one', () => {
  const clock = new ManualClock()
  const stumbles = new Stumbles(clock)
  saidOf(stumbles, clock, 'm3 is away', 200)
  stumbles.forget()
  expect(saidOf(stumbles, clock, 'm3 is away', 15)).toEqual([0, 10])
})
