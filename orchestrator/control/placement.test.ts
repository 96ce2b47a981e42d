import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { PARTITIONS } from '../core/slot.js'
import { LOAD_FACTOR, loadMax, place, rangesOf } from './placement.js'
import { hash, Scores } from './placement-scores.js'

const SHARDS_MAX = 256
/** Of what must move at least: the share of the shard that comes or goes. */
const MOVED_MAX = 1.25
/** Seconds of work, on a machine that may be busy with all other tests. */
const TIMEOUT_MS = 120_000

const scores = new Scores()
const shardIds = fc.uniqueArray(fc.integer({ min: 1, max: 1000 }), { minLength: 1, maxLength: 40 })
const loadFactors = fc.double({ min: 1, max: 2, noNaN: true })

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i + 1)
}

function loadsOf(owners: readonly number[]): Map<number, number> {
  const loads = new Map<number, number>()
  for (const owner of owners) loads.set(owner, (loads.get(owner) ?? 0) + 1)
  return loads
}

function moved(before: readonly number[], after: readonly number[]): number[] {
  return [...after.keys()].filter((partition) => after[partition] !== before[partition])
}

describe('place', () => {
  test('every partition has an owner and no shard holds more than its bound', () => {
    fc.assert(
      fc.property(shardIds, loadFactors, (shards, loadFactor) => {
        const owners = place(shards, { loadFactor, scores })
        expect(owners).toHaveLength(PARTITIONS)
        expect(owners.every((owner) => shards.includes(owner))).toBe(true)
        expect(Math.max(...loadsOf(owners).values())).toBeLessThanOrEqual(loadMax(shards.length, loadFactor))
      }),
      { numRuns: 50 },
    )
  })

  test('depends on the set of shards only, and not on what was placed before', () => {
    const few = fc.uniqueArray(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 20 })
    place([300], { scores })
    fc.assert(
      fc.property(few, (shards) => {
        expect(place([...shards].reverse(), { scores })).toEqual(place([...shards, ...shards]))
      }),
      { numRuns: 10 },
    )
  })

  test('from n shards to n + 1 what moves goes to the new one, and is at most its share', {
    timeout: TIMEOUT_MS,
  }, () => {
    let before = place([1], { scores })
    for (let count = 2; count <= SHARDS_MAX; count++) {
      const after = place(upTo(count), { scores })
      const changed = moved(before, after)
      expect(changed.length, `to ${count}`).toBe(Math.floor(PARTITIONS / count))
      expect(changed.every((partition) => after[partition] === count)).toBe(true)
      const loads = [...loadsOf(after).values()]
      expect(Math.max(...loads), `of ${count}`).toBe(Math.ceil(PARTITIONS / count))
      expect(Math.min(...loads), `of ${count}`).toBeGreaterThanOrEqual(Math.floor(PARTITIONS / count))
      before = after
    }
  })

  test('whichever of n shards goes, nothing moves but what it had', { timeout: TIMEOUT_MS }, () => {
    const cases = fc.integer({ min: 2, max: SHARDS_MAX }).chain((count) => {
      return fc.record({ count: fc.constant(count), gone: fc.integer({ min: 1, max: count }) })
    })
    fc.assert(
      fc.property(cases, ({ count, gone }) => {
        const before = place(upTo(count), { scores })
        const after = place(
          upTo(count).filter((shard) => shard !== gone),
          { scores },
        )
        const changed = moved(before, after)
        expect(changed.every((partition) => before[partition] === gone)).toBe(true)
        expect(changed.length).toBeLessThanOrEqual((MOVED_MAX * PARTITIONS) / count)
        expect(Math.max(...loadsOf(after).values())).toBeLessThanOrEqual(loadMax(count - 1))
      }),
      { numRuns: 100 },
    )
  })

  test.each([4, 8, 16])('among %i shards with gaps in their ids little else moves either', (count) => {
    for (let gap = 1; gap <= count; gap++) {
      const gaps = [gap, (gap * 5) % count, (gap * 11) % count]
      const shards = upTo(count + 3).filter((shard) => !gaps.includes(shard))
      const before = place(shards, { scores })
      const more = moved(before, place([...shards, count + 4], { scores }))
      expect(more.length, `${shards} and one more`).toBeLessThanOrEqual((MOVED_MAX * PARTITIONS) / (shards.length + 1))
      const fewer = moved(before, place(shards.slice(1), { scores }))
      expect(fewer.length, `${shards} without the first`).toBeLessThanOrEqual((MOVED_MAX * PARTITIONS) / shards.length)
    }
  })

  test('is what it always was', () => {
    const owners = place([1, 2, 3])
    expect([1, 2, 3].map((shard) => loadsOf(owners).get(shard))).toMatchInlineSnapshot(`
      [
        342,
        341,
        341,
      ]
    `)
    expect(owners.slice(0, 24).join(' ')).toMatchInlineSnapshot(`"2 3 3 1 3 3 1 3 2 2 1 2 1 2 1 1 1 3 3 1 2 2 3 3"`)
    expect(
      place([7, 300, 2000], { weights: new Map([[300, 2]]) })
        .slice(0, 12)
        .join(' '),
    ).toMatchInlineSnapshot(`"7 300 7 2000 300 7 300 7 300 7 2000 300"`)
    expect(LOAD_FACTOR).toBe(1.1)
  })

  test('no shards, too little room, and what is no id or no weight are mistakes of the caller', () => {
    for (const shards of [[], [0], [1.5], [1, -2]]) expect(() => place(shards)).toThrow(TypeError)
    for (const weight of [0, 0.5, 65]) expect(() => place([1], { weights: new Map([[1, weight]]) })).toThrow(TypeError)
    expect(() => place([1, 2], { loadFactor: 0.5 })).toThrow('no shard has room')
  })
})

describe('weights', () => {
  const weighed = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 20 })

  test('each scales the bound of its shard', () => {
    fc.assert(
      fc.property(weighed, loadFactors, (list, loadFactor) => {
        const weights = new Map(list.map((weight, at) => [at + 1, weight]))
        const total = list.reduce((sum, weight) => sum + weight, 0)
        const loads = loadsOf(place([...weights.keys()], { weights, loadFactor, scores }))
        for (const [shard, load] of loads) {
          expect(load).toBeLessThanOrEqual(loadMax(total, loadFactor, weights.get(shard)))
        }
      }),
      { numRuns: 50 },
    )
  })

  test.each([2, 3, 5, 8, 16])('one of %i shards has twice the share, and comes and goes as cheaply', (count) => {
    for (const heavy of upTo(count)) {
      const weights = new Map([[heavy, 2]])
      const owners = place(upTo(count), { weights, scores })
      const share = (2 * PARTITIONS) / (count + 1)
      const load = loadsOf(owners).get(heavy)
      expect(load).toBeGreaterThan(0.85 * share)
      expect(load).toBeLessThanOrEqual(loadMax(count + 1, LOAD_FACTOR, 2))
      const without = place(
        upTo(count).filter((shard) => shard !== heavy),
        { scores },
      )
      expect(moved(owners, without).length).toBeLessThanOrEqual(MOVED_MAX * share)
    }
  })
})

test('the hash is Murmur3: other programs place as we do', () => {
  // Of the bytes 01 00 00 00 02 00 00 00 03 00 00 00.
  expect(Math.floor(hash(1, 2, 3) * 2 ** 32)).toBe(3923217110)
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
