import { expect, test } from 'vitest'
import { keysOf, numbersBelow } from './keys.js'

test('keys are all different and of one length', () => {
  const keys = keysOf('key', 10_000)
  expect(new Set(keys).size).toBe(10_000)
  expect(new Set(keys.map((key) => key.length))).toEqual(new Set(['key-0000'.length]))
  expect(keysOf('one', 1)).toEqual(['one-0'])
})

test('the same seed gives the same numbers, another one gives others', () => {
  const take = (seed: number): number[] => Array.from({ length: 50 }, numbersBelow(10_000, seed))
  expect(take(1)).toEqual(take(1))
  expect(take(1)).not.toEqual(take(2))
})

test('numbers stay below the bound and reach nearly all of them', () => {
  const next = numbersBelow(1000, 7)
  const seen = new Set(Array.from({ length: 20_000 }, next))
  expect(Math.min(...seen)).toBeGreaterThanOrEqual(0)
  expect(Math.max(...seen)).toBeLessThan(1000)
  expect(seen.size).toBe(1000)
})

test('a seed of zero does not stand still', () => {
  const next = numbersBelow(1000, 0)
  expect(new Set(Array.from({ length: 100 }, next)).size).toBeGreaterThan(50)
})
