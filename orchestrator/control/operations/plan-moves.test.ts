import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { PARTITIONS } from '../../core/slot.js'
import { numbersOf } from '../map-changes.js'
import { place } from '../placement.js'
import { PARTITIONS_PER_MOVE_MAX, planMoves, turnBack } from './plan-moves.js'
import type { MoveRecord } from './reshard-record.js'

const owners = fc.array(fc.integer({ min: 1, max: 6 }), { minLength: PARTITIONS, maxLength: PARTITIONS })
const sizes = fc.integer({ min: 1, max: 200 })

/** What becomes of the owners. Fails when somebody gives what he does not have. */
function after(before: readonly number[], moves: readonly MoveRecord[]): number[] {
  const now = [...before]
  for (const { from, to, partitions } of moves) {
    for (const number of numbersOf(partitions)) {
      if (now[number] !== from) throw new Error(`partition ${number} is not shard ${from}'s to give`)
      now[number] = to
    }
  }
  return now
}

describe('planMoves', () => {
  test('leads from one table of owners to the other, each partition moving once at most', () => {
    fc.assert(
      fc.property(owners, owners, sizes, (before, target, max) => {
        const moves = planMoves(before, target, max)
        expect(after(before, moves)).toEqual(target)
        const moved = moves.flatMap(({ partitions }) => numbersOf(partitions))
        expect(new Set(moved).size).toBe(moved.length)
        for (const { from, to, partitions } of moves) {
          expect(from).not.toBe(to)
          const count = numbersOf(partitions).length
          expect(count).toBeGreaterThan(0)
          expect(count).toBeLessThanOrEqual(max)
        }
      }),
      { numRuns: 30 },
    )
  })

  test('makes no more moves than the size demands', () => {
    fc.assert(
      fc.property(owners, owners, sizes, (before, target, max) => {
        const perPair = new Map<string, number>()
        target.forEach((to, number) => {
          const key = `${before[number]} ${to}`
          if (before[number] !== to) perPair.set(key, (perPair.get(key) ?? 0) + 1)
        })
        const least = [...perPair.values()].reduce((sum, count) => sum + Math.ceil(count / max), 0)
        expect(planMoves(before, target, max)).toHaveLength(least)
      }),
      { numRuns: 30 },
    )
  })

  test('gives nothing to do when nothing changes', () => {
    expect(planMoves(place([1, 2, 3]), place([1, 2, 3]))).toEqual([])
  })

  test('no giver is emptied before the others begin', () => {
    const moves = planMoves(place([1, 2, 3]), place([1, 2, 3, 4]))
    expect(
      new Set(
        moves
          .filter(({ to }) => to === 4)
          .slice(0, 3)
          .map(({ from }) => from),
      ),
    ).toEqual(new Set([1, 2, 3]))
    expect(Math.max(...moves.map(({ partitions }) => numbersOf(partitions).length))).toBeLessThanOrEqual(
      PARTITIONS_PER_MOVE_MAX,
    )
  })
})

describe('turnBack', () => {
  test('whatever has been done, its end is where it began', () => {
    fc.assert(
      fc.property(owners, owners, sizes, fc.nat(), (before, target, max, some) => {
        const moves = planMoves(before, target, max)
        const done = moves.length === 0 ? 0 : some % (moves.length + 1)
        const halfway = moves.map((move, at) => ({
          ...move,
          state: at < done ? ('done' as const) : ('waiting' as const),
        }))
        const turned = turnBack(halfway)
        expect(after(before, turned)).toEqual(before)
        expect(turned.filter(({ state }) => state === 'done')).toHaveLength(done)
        expect(turned.filter(({ state }) => state === 'waiting')).toHaveLength(done)
      }),
      { numRuns: 30 },
    )
  })
})
