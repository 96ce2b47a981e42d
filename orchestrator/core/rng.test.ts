import { expect, test } from 'vitest'
import { seededRng, systemRng } from './rng.js'

test('the same seed gives the same numbers, all in [0, 1)', () => {
  const draw = (seed: number) => {
    const rng = seededRng(seed)
    return Array.from({ length: 1000 }, () => rng.float())
  }
  expect(draw(1)).toEqual(draw(1))
  expect(draw(1)).not.toEqual(draw(2))
  expect(draw(3).every((number) => number >= 0 && number < 1)).toBe(true)
})

test('ids are 128 bits in hex', () => {
  for (const rng of [systemRng, seededRng(1)]) expect(rng.id()).toMatch(/^[0-9a-f]{32}$/)
})
