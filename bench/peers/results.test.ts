import { expect, test } from 'vitest'
import { medianFigures, medianRatio, type Run } from './results.js'
import { figures } from './testing/figures.js'

function run(rates: Readonly<Record<string, number>>): Run {
  return new Map(
    Object.entries(rates).map(([name, rate]) => [name, new Map([['puts', figures({ operationsPerSecond: rate })]])]),
  )
}

const RATIO = { case: 'puts', measure: 'operationsPerSecond', of: 'a', by: 'b' } as const

test('a figure is the median of its runs', () => {
  const runs = [run({ a: 30 }), run({ a: 10 }), run({ a: 20 })]
  expect(medianFigures(runs, 'a', 'puts')?.operationsPerSecond).toBe(20)
})

test('who was not measured has no figure', () => {
  expect(medianFigures([run({ a: 1 })], 'b', 'puts')).toBeUndefined()
  expect(medianFigures([run({ a: 1 })], 'a', 'gets')).toBeUndefined()
})

test('the median of ratios is not the ratio of medians', () => {
  // Medians are 20 and 10. The runs themselves say 10, 1 and 3.
  const runs = [run({ a: 100, b: 10 }), run({ a: 20, b: 20 }), run({ a: 15, b: 5 })]
  expect(medianRatio(runs, RATIO)).toBe(3)
})

test('a run without one of the two does not count', () => {
  expect(medianRatio([run({ a: 4, b: 2 }), run({ a: 100 })], RATIO)).toBe(2)
  expect(medianRatio([run({ a: 100 }), run({ b: 1 })], RATIO)).toBeUndefined()
})
