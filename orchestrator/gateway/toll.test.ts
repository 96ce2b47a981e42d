import { expect, test } from 'vitest'
import { ManualClock } from '../core/testing/manual-clock.js'
import { Toll } from './toll.js'

test('grows with what was refused, up to a second, and is forgotten', () => {
  const clock = new ManualClock()
  const toll = new Toll(clock)
  const first = toll.charge(1000)
  expect(first).toBeGreaterThan(0)
  expect(toll.charge(1000)).toBeCloseTo(2 * first)
  for (let i = 0; i < 1000; i++) toll.charge(1000)
  expect(toll.charge(1000)).toBe(1000)
  clock.advance(2000)
  expect(toll.charge(1000)).toBeCloseTo(first)
})
