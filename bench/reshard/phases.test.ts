import { expect, test } from 'vitest'
import { figuresOf, percentile } from './phases.js'

const interval = (from: number, operations: number, p99Ms = 1) => ({
  from,
  operations,
  errors: 0,
  p50Ms: 1,
  p99Ms,
  maxMs: p99Ms,
})

test('a phase has the intervals that lie wholly within it', () => {
  const intervals = [interval(0, 999), interval(100, 10, 3), interval(200, 30, 5), interval(300, 999)]
  const figures = figuresOf({ name: 'move', from: 90, to: 310 }, intervals, 100)
  expect(figures).toEqual({ name: 'move', seconds: 0.22, perSecond: 200, p99Ms: 3, maxMs: 5, errors: 0 })
})

test('a phase without an interval has no rate', () => {
  expect(figuresOf({ name: 'short', from: 0, to: 50 }, [interval(0, 1)], 100).perSecond).toBeNaN()
})

test('a percentile is one of the values, and no smaller one reaches it', () => {
  const values = Array.from({ length: 200 }, (_, at) => 200 - at)
  expect(percentile(values, 99)).toBe(198)
  expect(percentile(values, 50)).toBe(100)
  expect(percentile([7], 99)).toBe(7)
  expect(percentile([], 99)).toBeNaN()
})
