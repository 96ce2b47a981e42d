import { describe, expect, test } from 'vitest'
import { seededRng } from '../../orchestrator/core/rng.js'
import { electionMs, noticesAfter, rackLost } from './elections.js'

const draws = <T>(draw: (rng: ReturnType<typeof seededRng>) => T): T[] => {
  const rng = seededRng(7)
  return Array.from({ length: 2000 }, () => draw(rng))
}

describe('a leader that falls silent', () => {
  test('is missed after the silence, and before a whole timer more', () => {
    for (const ms of draws(noticesAfter)) {
      expect(ms).toBeGreaterThanOrEqual(500)
      expect(ms).toBeLessThan(1500)
    }
  })

  test('is replaced sooner by one of two than by one alone, mostly within what was measured', () => {
    const median = (followers: number) =>
      draws((rng) => electionMs(followers, rng)).sort((a, b) => a - b)[1000] ?? Number.NaN
    expect(median(2)).toBeLessThan(median(1))
    // bench/README.md: 0.60 to 0.71 s after SIGSTOP.
    expect(median(2)).toBeGreaterThan(600)
    expect(median(2)).toBeLessThan(710)
  })
})

test('a group that lost its majority elects nobody, one that kept its leader need not', () => {
  // Machines 0 and 2 are in rack 0, the others in rack 1; the first of a group leads.
  const groups = [
    [0, 1, 3],
    [0, 2, 1],
    [1, 0, 3],
  ]
  const { nodes, leaders, majority, all, elections, most } = rackLost(groups, 2, 0, 1)
  expect({ nodes, leaders, majority, all, most }).toEqual({ nodes: 4, leaders: 2, majority: 1, all: 0, most: 1 })
  expect(elections).toHaveLength(1)
})
