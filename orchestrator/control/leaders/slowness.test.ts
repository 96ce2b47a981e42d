import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Paced, SLOW_AFTER_MS, Slowness, WELL_AFTER_MS } from './slowness.js'

const MS = 1_000

/** Every group has a node on each machine, which take so many ms. */
function nodes(groups: readonly Readonly<Record<string, number>>[]): Paced[] {
  return groups.flatMap((times, shard) =>
    Object.entries(times).map(([machine, ms]) => ({ shard, machine, appendUs: ms * MS })),
  )
}

/** Looks once a second, for so long. */
function watch(slowness: Slowness, from: number, forMs: number, seen: readonly Paced[]): number {
  for (let at = from; at <= from + forMs; at += 1_000) slowness.observe(at, seen)
  return from + forMs
}

/** What becomes slow in a while, if it goes on like this. */
function slowOf(...groups: readonly Readonly<Record<string, number>>[]): string[] {
  const slowness = new Slowness()
  watch(slowness, 0, 2 * SLOW_AFTER_MS, nodes(groups))
  return [...slowness.slow]
}

test('a disk is slow when it takes more than 20 ms, and more than five times what the others of the group take', () => {
  expect(slowOf({ m1: 30, m2: 0, m3: 0 })).toEqual(['m1'])
  expect(slowOf({ m1: 19, m2: 0, m3: 0 })).toEqual([])
  expect(slowOf({ m1: 99, m2: 20, m3: 20 })).toEqual([])
  expect(slowOf({ m1: 101, m2: 20, m3: 20 })).toEqual(['m1'])
})

test('two of three are not slow: then the third is only fast', () => {
  expect(slowOf({ m1: 200, m2: 200, m3: 0 })).toEqual([])
  expect(slowOf({ m1: 200, m2: 0 })).toEqual(['m1'])
})

test('a group that writes much is slow on all of its machines, and none of them is to blame', () => {
  const [heavy, light] = [
    { m1: 60, m2: 50, m3: 55 },
    { m4: 0, m5: 0, m6: 0 },
  ]
  expect(slowOf(heavy, light, { m1: 0, m4: 0, m5: 0 })).toEqual([])
})

test('most of its nodes of which anything is known must be slow', () => {
  expect(slowOf({ m1: 60, m2: 0, m3: 0 }, { m1: 10, m2: 8, m3: 8 })).toEqual([])
  expect(slowOf({ m1: 60, m2: 0, m3: 0 }, { m1: 0, m2: 0, m3: 0 })).toEqual(['m1'])
})

test('whoever has nobody on another machine to be compared with is not slow', () => {
  expect(slowOf({ m1: 500 })).toEqual([])
})

test('it has to last, and to be over for longer', () => {
  const slowness = new Slowness()
  const [bad, good] = [nodes([{ m1: 60, m2: 0, m3: 0 }]), nodes([{ m1: 0, m2: 0, m3: 0 }])]
  let now = watch(slowness, 0, SLOW_AFTER_MS - 1_000, bad)
  now = watch(slowness, now + 1_000, 0, good)
  now = watch(slowness, now + 1_000, SLOW_AFTER_MS - 1_000, bad)
  expect([...slowness.slow]).toEqual([])
  expect(slowness.observe(now + 1_000, bad)).toEqual(['m1'])
  now = watch(slowness, now + 2_000, WELL_AFTER_MS - 1_000, good)
  expect([...slowness.slow]).toEqual(['m1'])
  now = watch(slowness, now + 1_000, 0, bad)
  now = watch(slowness, now + 1_000, WELL_AFTER_MS - 1_000, good)
  expect([...slowness.slow]).toEqual(['m1'])
  expect(slowness.observe(now + 1_000, good)).toEqual(['m1'])
  expect([...slowness.slow]).toEqual([])
})

test('one that was slow is not well at the same limit', () => {
  const slowness = new Slowness()
  const now = watch(slowness, 0, SLOW_AFTER_MS, nodes([{ m1: 21, m2: 0, m3: 0 }]))
  watch(slowness, now, 2 * WELL_AFTER_MS, nodes([{ m1: 15, m2: 0, m3: 0 }]))
  expect([...slowness.slow]).toEqual(['m1'])
})

test('a machine that is not heard stays what it was', () => {
  const slowness = new Slowness()
  const now = watch(slowness, 0, SLOW_AFTER_MS, nodes([{ m1: 60, m2: 0, m3: 0 }]))
  watch(slowness, now, 2 * WELL_AFTER_MS, nodes([{ m2: 0, m3: 0 }]))
  expect([...slowness.slow]).toEqual(['m1'])
})

test('whatever is told, no more than half of the machines of a group that is on all of them are slow', () => {
  const times = fc.dictionary(fc.constantFrom('m1', 'm2', 'm3', 'm4', 'm5'), fc.integer({ min: 0, max: 500 }), {
    minKeys: 3,
  })
  fc.assert(
    fc.property(times, (group) => {
      expect(slowOf(group).length * 2).toBeLessThanOrEqual(Object.keys(group).length)
    }),
  )
})
