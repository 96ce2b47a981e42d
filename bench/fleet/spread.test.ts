import fc from 'fast-check'
import { expect, test } from 'vitest'
import { seededRng } from '../../orchestrator/core/rng.js'
import { rackOf, spread } from './spread.js'

const site = fc.record({
  seed: fc.nat(1000),
  racks: fc.integer({ min: 1, max: 8 }),
  perRack: fc.integer({ min: 3, max: 6 }),
  groups: fc.integer({ min: 1, max: 60 }),
})

test('nodes of a group are on machines, and in racks, of their own as far as there are enough', () => {
  fc.assert(
    fc.property(site, ({ seed, racks, perRack, groups }) => {
      const machines = racks * perRack
      const both = (['racks', 'chosen'] as const).flatMap((policy) =>
        spread(groups, 3, { machines, racks }, policy, seededRng(seed)),
      )
      for (const all of both) {
        expect(new Set(all).size).toBe(3)
        expect(new Set(all.map((machine) => rackOf(machine, racks))).size).toBe(Math.min(3, racks))
      }
    }),
  )
})

test('no machine has two nodes more than another where racks do not matter', () => {
  fc.assert(
    fc.property(site, ({ seed, racks, perRack, groups }) => {
      const machines = racks * perRack
      const loads = Array<number>(machines).fill(0)
      for (const machine of spread(groups, 3, { machines, racks }, 'random', seededRng(seed)).flat()) {
        loads[machine] = (loads[machine] ?? 0) + 1
      }
      expect(Math.max(...loads) - Math.min(...loads)).toBeLessThanOrEqual(1)
    }),
  )
})

test('too few machines are refused', () => {
  expect(() => spread(1, 3, { machines: 2, racks: 1 }, 'random', seededRng(1))).toThrow('too few')
})
