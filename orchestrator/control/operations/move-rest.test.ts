import { expect, test } from 'vitest'
import { restAfterMove } from './move-rest.js'

test.each([
  [100, undefined, 300],
  [100, 1, 100],
  [100, 0, 0],
  [900, undefined, 1_000],
  [900, 100, 1_000],
])('after a move of %i ms, with a factor of %s, nothing moves for %i ms', (tookMs, factor, restMs) => {
  expect(restAfterMove(tookMs, factor)).toBe(restMs)
})
