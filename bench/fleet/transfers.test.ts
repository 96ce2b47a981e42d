import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { fairShares, type Resource, run, type Stage } from './transfers.js'

function resource(bytesPerSecond: number): Resource {
  return { name: 'disk', bytesPerSecond }
}

function stage(bytes: number, bytesPerSecond: number, ...resources: readonly Resource[]): Stage {
  return { bytes, bytesPerSecond, uses: resources.map((one) => ({ resource: one, times: 1 })) }
}

describe('fair shares', () => {
  test('what one does not use is for the others', () => {
    const disk = resource(100)
    const shares = fairShares([stage(1, 10, disk), stage(1, 1000, disk), stage(1, 1000, disk)])
    expect(shares.map(({ rate }) => rate)).toEqual([10, 45, 45])
    expect(shares.map(({ by }) => by)).toEqual(['one copy', 'disk', 'disk'])
  })

  test('nothing gives more than it has, and each is held up by itself or by what is used up', () => {
    const speeds = fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 1, maxLength: 5 })
    const copies = fc.array(
      fc.record({ own: fc.integer({ min: 1, max: 60 }), uses: fc.uniqueArray(fc.nat(4), { maxLength: 3 }) }),
      { minLength: 1, maxLength: 12 },
    )
    fc.assert(
      fc.property(speeds, copies, fc.integer({ min: 1, max: 2 }), (rates, drawn, times) => {
        const resources = rates.map(resource)
        const stages = drawn.map(({ own, uses }) => ({
          bytes: 1,
          bytesPerSecond: own,
          uses: uses.flatMap((at) => resources[at] ?? []).map((one) => ({ resource: one, times })),
        }))
        const shares = fairShares(stages)
        const used = (one: Resource) =>
          stages.reduce(
            (sum, { uses }, at) =>
              sum + (uses.some((use) => use.resource === one) ? times : 0) * (shares[at]?.rate ?? 0),
            0,
          )
        for (const one of resources) expect(used(one)).toBeLessThanOrEqual(one.bytesPerSecond * (1 + 1e-9))
        for (const [at, { bytesPerSecond, uses }] of stages.entries()) {
          const rate = shares[at]?.rate ?? 0
          const isUsedUp = uses.some(({ resource: one }) => used(one) >= one.bytesPerSecond * (1 - 1e-9))
          expect(rate).toBeGreaterThan(0)
          expect(rate === bytesPerSecond || isUsedUp).toBe(true)
        }
      }),
    )
  })
})

describe('copies', () => {
  test('one at a time take the sum of their stages', () => {
    const disk = resource(100)
    const copy = [stage(1000, 50, disk), stage(1000, 200, disk)]
    expect(run([copy, copy], 1).seconds).toBeCloseTo(2 * (20 + 10))
  })

  test('together they share, and the next begins when one has ended', () => {
    const disk = resource(100)
    const [long, short] = [[stage(1000, 1000, disk)], [stage(500, 1000, disk)]]
    expect(run([long, short], 2).seconds).toBeCloseTo(15)
    expect(run([long, short, short], 2).seconds).toBeCloseTo(20)
    expect(run([long, short], 2).heldBy.get('disk')).toBeCloseTo(10 + 15)
  })

  test('nothing to copy takes no time', () => {
    expect(run([], 1).seconds).toBe(0)
  })
})
