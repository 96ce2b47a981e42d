import { expect, test } from 'vitest'
import { ManualClock } from '../core/testing/manual-clock.js'
import { Pace } from './pace.js'

function work(pace: Pace, operations: number): number {
  for (let i = 0; i < operations; i++) pace.ended()
  return pace.operationsMax
}

test('as many operations may be in flight as end in a fifth of a second', () => {
  const clock = new ManualClock()
  const pace = new Pace(clock)
  expect(pace.operationsMax).toBe(Number.POSITIVE_INFINITY)
  clock.advance(100)
  expect(work(pace, 5000)).toBe(10_000)
  clock.advance(100)
  expect(work(pace, 10_000)).toBe(20_000)
})

test('a slower pace counts by and by, and a full message may always come', () => {
  const clock = new ManualClock()
  const pace = new Pace(clock)
  clock.advance(100)
  work(pace, 10_000)
  clock.advance(100)
  expect(work(pace, 0)).toBe(10_000)
  for (let i = 0; i < 20; i++) {
    clock.advance(100)
    work(pace, 0)
  }
  expect(pace.operationsMax).toBe(4096)
})
