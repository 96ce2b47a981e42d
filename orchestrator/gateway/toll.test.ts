import { expect, test } from 'vitest'
import { ManualClock } from '../core/testing/manual-clock.js'
import { Toll } from './toll.js'

test('a stream that is refused little rests little, whatever others owe', () => {
  const toll = new Toll(new ManualClock())
  for (let i = 0; i < 1000; i++) {
    toll.charge(4096)
    toll.rested()
  }
  expect(toll.charge(1)).toBeLessThan(2)
})

test('grows with what was refused, up to a limit, and is forgotten', () => {
  const clock = new ManualClock()
  const toll = new Toll(clock)
  const first = toll.charge(1000)
  expect(first).toBeGreaterThan(0)
  expect(toll.charge(1000)).toBeCloseTo(2 * first)
  for (let i = 0; i < 1000; i++) toll.charge(1000)
  expect(toll.charge(1000)).toBe(1000)
  clock.advance(2000)
  for (let i = 0; i < 1003; i++) toll.rested()
  expect(toll.charge(1000)).toBeCloseTo(first)
})
