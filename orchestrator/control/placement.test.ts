import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { PARTITIONS } from '../core/slot.js'
import { LOAD_FACTOR, loadMax, place, rangesOf } from './placement.js'

const shardIds = fc.uniqueArray(fc.integer({ min: 1, max: 1000 }), { minLength: 1, maxLength: 40 })

function loadsOf(owners: readonly number[]): number[] {
  const loads = new Map<number, number>()
  for (const owner of owners) loads.set(owner, (loads.get(owner) ?? 0) + 1)
  return [...loads.values()]
}

describe('place', () => {
  test('every partition has an owner and no shard holds more than its bound', () => {
    fc.assert(
      fc.property(shardIds, fc.double({ min: 1, max: 2, noNaN: true }), (shards, loadFactor) => {
        const owners = place(shards, loadFactor)
        expect(owners).toHaveLength(PARTITIONS)
        expect(owners.every((owner) => shards.includes(owner))).toBe(true)
        expect(Math.max(...loadsOf(owners))).toBeLessThanOrEqual(loadMax(shards.length, loadFactor))
      }),
      { numRuns: 50 },
    )
  })

  test('depends on the set of shards only', () => {
    fc.assert(
      fc.property(shardIds, (shards) => {
        expect(place([...shards].reverse())).toEqual(place(shards))
      }),
      { numRuns: 30 },
    )
  })

  test('a new shard takes its share, and little else moves', () => {
    for (let count = 1; count <= 16; count++) {
      const before = place(Array.from({ length: count }, (_, i) => i + 1))
      const after = place(Array.from({ length: count + 1 }, (_, i) => i + 1))
      const moved = after.filter((owner, partition) => owner !== before[partition])
      const share = PARTITIONS / (count + 1)
      expect(moved.length, `from ${count}`).toBeLessThanOrEqual(2.5 * share)
      expect(moved.filter((owner) => owner === count + 1).length, `from ${count}`).toBeGreaterThan(share / 2)
    }
  })

  test('is what it always was: data lies where an earlier version put it', () => {
    const owners = place([1, 2, 3])
    expect(loadsOf(owners).sort()).toMatchInlineSnapshot(`
      [
        332,
        341,
        351,
      ]
    `)
    expect(owners.slice(0, 24).join(' ')).toMatchInlineSnapshot(`"3 1 3 3 3 3 2 2 3 3 2 2 2 2 1 3 1 1 3 3 3 2 2 3"`)
    expect(LOAD_FACTOR).toBe(1.1)
  })

  test('no shards, and too little room, are mistakes of the caller', () => {
    expect(() => place([])).toThrow(TypeError)
    expect(() => place([1, 2], 0.5)).toThrow('no shard has room')
  })
})

describe('rangesOf', () => {
  test('one shard owns one range', () => {
    expect(rangesOf(place([7]), 7)).toEqual([{ first: 0, last: PARTITIONS - 1 }])
    expect(rangesOf(place([7]), 8)).toEqual([])
  })

  test('ranges are those partitions, in order and not touching', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 60 }), (owners) => {
        const ranges = rangesOf(owners, 2)
        const listed = ranges.flatMap(({ first, last }) =>
          Array.from({ length: last - first + 1 }, (_, i) => first + i),
        )
        expect(listed).toEqual(owners.flatMap((owner, partition) => (owner === 2 ? [partition] : [])))
        ranges.slice(1).forEach((range, i) => {
          expect(range.first).toBeGreaterThan((ranges[i]?.last ?? 0) + 1)
        })
      }),
    )
  })
})
