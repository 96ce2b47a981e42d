import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { NodePlace } from './data-directory.js'
import { chooseMachines, type Machine, type Placed, riskOf } from './machines.js'
import { placesFrom } from './membership.js'

const machine = (name: string, zone = 'z'): Machine => ({ name, zone })
const named = (...names: string[]): Machine[] => names.map((name) => machine(name))

/** Machines of different names, each in one of a few zones. */
const machines = fc
  .array(fc.integer({ min: 0, max: 4 }), { minLength: 1, maxLength: 9 })
  .map((zones) => zones.map((zone, at) => machine(`m${at}`, `z${zone}`)))
const shape = fc.record({ shards: fc.integer({ min: 1, max: 8 }), replicas: fc.integer({ min: 1, max: 5 }) })

const zonesOf = (all: readonly Machine[]): number => new Set(all.map(({ zone }) => zone)).size
const zoneOf = (all: readonly Machine[], name: string) => all.find((one) => one.name === name)?.zone ?? ''
const loadOf = (placed: readonly Placed[], name: string) => placed.filter((one) => one.machine === name).length
const spread = (counts: readonly number[]) => Math.max(...counts) - Math.min(...counts)

function groupsOf(placed: readonly Placed[]): Placed[][] {
  return [...new Set(placed.map(({ shard }) => shard))].map((id) => placed.filter(({ shard }) => shard === id))
}

describe('new nodes', () => {
  test('of one shard are on different machines, and in different zones, as far as there are so many', () => {
    fc.assert(
      fc.property(machines, shape, (all, { shards, replicas }) => {
        for (const group of groupsOf(chooseMachines(placesFrom(0, { shards, replicas }, []), all, []))) {
          const used = group.map((one) => one.machine)
          expect(new Set(used).size).toBe(Math.min(replicas, all.length))
          const zones = new Set(used.map((name) => zoneOf(all, name)))
          expect(zones.size).toBe(Math.min(replicas, zonesOf(all)))
        }
      }),
    )
  })

  test('are spread evenly over machines of one zone, and over a zone that takes one of each shard', () => {
    fc.assert(
      fc.property(machines, shape, (all, { shards, replicas }) => {
        const same = all.map(({ name }) => machine(name))
        const even = chooseMachines(placesFrom(0, { shards, replicas }, []), same, [])
        expect(spread(same.map(({ name }) => loadOf(even, name)))).toBeLessThanOrEqual(1)
        if (zonesOf(all) < replicas) return
        const placed = chooseMachines(placesFrom(0, { shards, replicas }, []), all, [])
        for (const zone of new Set(all.map((one) => one.zone))) {
          const loads = all.filter((one) => one.zone === zone).map(({ name }) => loadOf(placed, name))
          expect(spread(loads)).toBeLessThanOrEqual(1)
        }
      }),
    )
  })

  test('are the same whatever the machines are listed in, and do not move what is placed', () => {
    fc.assert(
      fc.property(machines, shape, fc.integer({ min: 0, max: 8 }), (all, { shards, replicas }, seam) => {
        const places = placesFrom(0, { shards, replicas }, [])
        const placed = chooseMachines(places, all, [])
        expect(chooseMachines(places, [...all].reverse(), [])).toEqual(placed)
        const first = placed.filter(({ shard }) => shard < seam)
        const rest = chooseMachines(placesFrom(seam, { shards, replicas }, []), all, first)
        expect([...first, ...rest]).toEqual(placed)
      }),
    )
  })

  test('begin at different machines for different shards: the first replica tends to lead', () => {
    const placed = chooseMachines(placesFrom(0, { shards: 3, replicas: 3 }, []), named('a', 'b', 'c'), [])
    const firsts = placed.filter(({ index, shard }) => index === 1 && shard > 0).map((one) => one.machine)
    expect(firsts.sort()).toEqual(['a', 'b', 'c'])
  })

  test('count what is on machines that do not answer now', () => {
    const placed = [{ shard: 1, index: 1, machine: 'gone' }]
    expect(chooseMachines([{ shard: 1, index: 2 }], named('a'), placed)).toEqual([{ shard: 1, index: 2, machine: 'a' }])
  })
})

/** What chooseMachines is to choose, counted anew for each node. */
function specification(places: readonly NodePlace[], all: readonly Machine[], placed: readonly Placed[]): Placed[] {
  const chosen: Placed[] = []
  const sorted = [...all].sort((a, b) => (a.name < b.name ? -1 : 1))
  for (const place of places) {
    const there = [...placed, ...chosen]
    const siblings = there.filter(({ shard }) => shard === place.shard)
    const costs = sorted.map(({ name, zone }, at) => [
      siblings.filter((one) => one.machine === name).length,
      siblings.filter((one) => all.some((other) => other.name === one.machine && other.zone === zone)).length,
      there.filter((one) => one.machine === name).length,
      (at + all.length - (place.shard % all.length)) % all.length,
    ])
    const least = costs.reduce((a, b) => (compare(b, a) < 0 ? b : a))
    chosen.push({ ...place, machine: sorted[costs.indexOf(least)]?.name ?? '' })
  }
  return chosen
}

function compare(a: readonly number[], b: readonly number[]): number {
  return a.map((cost, at) => cost - (b[at] ?? 0)).find((difference) => difference !== 0) ?? 0
}

test('the choice is the one of its specification, whatever is placed already', () => {
  const node = fc.record({
    shard: fc.integer({ min: 0, max: 5 }),
    index: fc.integer({ min: 1, max: 9 }),
    // Up to m8 there may be machines; m9 is never one.
    machine: fc.integer({ min: 0, max: 9 }).map((at) => `m${at}`),
  })
  fc.assert(
    fc.property(machines, fc.array(node), shape, (all, placed, { shards, replicas }) => {
      const places = placesFrom(0, { shards, replicas }, [])
      expect(chooseMachines(places, all, placed)).toEqual(specification(places, all, placed))
    }),
  )
})

describe('the risk', () => {
  const risk = (all: Machine[], replicas: number) =>
    riskOf(chooseMachines(placesFrom(0, { shards: 1, replicas }, []), all, []), all)

  test.each([
    ['three machines', named('a', 'b', 'c'), 3],
    ['five replicas on four machines, of which none has three', named('a', 'b', 'c', 'd'), 5],
    ['one replica, of which nobody expects it', named('a'), 1],
    ['three zones', [machine('a', 'x'), machine('b', 'y'), machine('c', 'z')], 3],
  ])('of %s: none', (_, all, replicas) => {
    expect(risk(all, replicas)).toBeUndefined()
  })

  test('of two machines: one of them has a majority', () => {
    expect(risk(named('a', 'b'), 3)).toBe('the loss of machine a stops meta; the loss of machine b stops shard-1')
  })

  test('of two zones: one of them has a majority', () => {
    const all = [machine('a', 'x'), machine('b', 'x'), machine('c', 'y')]
    expect(risk(all, 3)).toBe('the loss of zone x stops meta, shard-1')
  })
})
