import { expect, test } from 'vitest'
import { PARTITIONS } from '../../orchestrator/core/slot.js'
import { evenUpTo, loadsOf, placed, skewOf } from './skew.js'

test('every partition has one of the shards, also where there are many shards', () => {
  for (const shards of [1, 3, 257, 1000, 1024]) {
    const loads = loadsOf(placed(shards), shards)
    expect(loads).toHaveLength(shards)
    expect(loads.reduce((sum, load) => sum + load, 0)).toBe(PARTITIONS)
  }
})

test('a thousand shards: 24 have two partitions and the others one; the next one takes a single one', () => {
  expect(skewOf(1000)).toMatchObject({ least: 1, most: 2, atMost: 24, movedUp: 1, movedDown: 1 })
  expect(skewOf(1000).maxToMean).toBeCloseTo(1.953, 3)
})

test('a placement is as even as whole partitions allow: evenUpTo counts on it', () => {
  for (const shards of [10, 112, 113, 320, 321, 768]) {
    expect(skewOf(shards).most).toBe(Math.ceil(PARTITIONS / shards))
  }
  expect(skewOf(112).maxToMean).toBeLessThanOrEqual(1.1)
  expect(skewOf(113).maxToMean).toBeGreaterThan(1.1)
  expect(evenUpTo(1.1)).toBe(112)
  expect(evenUpTo(2)).toBeGreaterThanOrEqual(PARTITIONS)
})
