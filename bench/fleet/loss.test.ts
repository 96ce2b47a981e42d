import { expect, test } from 'vitest'
import { DEFAULTS } from './inputs.js'
import { lostWith, setsOf, spreadsOf } from './loss.js'
import { rackOf } from './spread.js'

test('two of three are a majority, one is not, none is a loss', () => {
  const groups = [
    [0, 1, 2],
    [0, 1, 3],
    [4, 5, 6],
  ]
  expect(lostWith(groups, new Set([0]))).toEqual({ majority: 0, all: 0 })
  expect(lostWith(groups, new Set([0, 1]))).toEqual({ majority: 2, all: 0 })
  expect(lostWith(groups, new Set([0, 1, 2]))).toEqual({ majority: 2, all: 1 })
})

test('half of four is no majority', () => {
  expect(lostWith([[0, 1, 2, 3]], new Set([0, 1]))).toEqual({ majority: 1, all: 0 })
})

test('a rack: as many groups as combinatorics say, and none when racks are kept apart', () => {
  const lost = (policy: 'random' | 'racks') =>
    spreadsOf(DEFAULTS, policy).flatMap((groups) =>
      Array.from({ length: DEFAULTS.racks }, (_, rack) => {
        const failed = new Set(groups.flat().filter((machine) => rackOf(machine, DEFAULTS.racks) === rack))
        return lostWith(groups, failed)
      }),
    )
  const choose2 = (n: number) => (n * (n - 1)) / 2
  const choose3 = (n: number) => (choose2(n) * (n - 2)) / 3
  const share = (choose2(10) * 90 + choose3(10)) / choose3(100)
  const random = lost('random')
  const mean = random.reduce((sum, { majority }) => sum + majority, 0) / random.length
  expect(mean / (1001 * share)).toBeGreaterThan(0.9)
  expect(mean / (1001 * share)).toBeLessThan(1.1)
  expect(lost('racks').every(({ majority }) => majority === 0)).toBe(true)
})

test('sets of machines, whatever the order of their nodes', () => {
  const groups = [
    [0, 1, 2],
    [2, 0, 1],
    [0, 3, 4],
  ]
  expect(setsOf(groups, 6)).toEqual({ sets: 2, partners: [4, 2, 2, 2, 2, 0] })
})
