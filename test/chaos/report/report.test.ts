import { expect, test } from 'vitest'
import { secondsLeft } from '../run/left.js'
import type { RunResult } from '../run/result.js'
import type { State } from '../run/settings.js'
import { picture } from './picture.js'
import { viewFor } from './view.js'

test('what is left is what was asked for: rounds or time, whichever is reached first', () => {
  const progress = { startMs: 0, nowMs: 50_000, round: 2, roundEndMs: 60_000, roundMs: 30_000 }
  const infinite = Number.POSITIVE_INFINITY
  expect(secondsLeft({ ...progress, roundsMax: infinite, runMs: 300_000 })).toBe(250)
  expect(secondsLeft({ ...progress, roundsMax: 3, runMs: 300_000 })).toBe(40)
  // A replay has no time.
  expect(secondsLeft({ ...progress, roundsMax: 4 })).toBe(70)
  // The round that has begun is brought to its end, and checked after that.
  expect(secondsLeft({ ...progress, roundsMax: infinite, runMs: 10_000 })).toBe(10)
  expect(secondsLeft({ ...progress, nowMs: 61_000, roundsMax: infinite, runMs: 10_000 })).toBe(0)
})

test('the live view says which round of how many, what it does, and what is left', () => {
  let shown = ''
  const view = viewFor({ isTTY: true, columns: 100, write: (text: string) => (shown += text) })
  const state: State = {
    round: 2,
    rounds: 3,
    phase: 'faults',
    secondsLeft: 70,
    operationsPerSecond: 12,
    leaders: ['shard 1: no leader'],
  }
  view.state(state)
  expect(shown).toBe('\nround 2 of 3: faults   12 operations/s   1:10 of faults left\n  shard 1: no leader\n')
  shown = ''
  view.state({ ...state, rounds: Number.POSITIVE_INFINITY, phase: 'checking', secondsLeft: 0 })
  expect(shown).toContain('round 2: checking   12 operations/s   no more faults\n')
})

test('where nothing was served the latency has a gap', () => {
  const good = (p99Ms: number) => ({ good: 1, failed: 0, p50Ms: 1, p99Ms })
  const none = { good: 0, failed: 1, p50Ms: 0, p99Ms: 0 }
  const buckets = [good(1), good(2), none, none, good(3), none]
  const timeline = { startMs: 0, widthMs: 1_000, buckets, faults: [], faultsMax: 1 }
  const drawn = picture({ timeline } as unknown as RunResult)
  const points = [...drawn.matchAll(/<polyline[^>]*points="([^"]*)"/g)].map(([, found = '']) => found.split(' '))
  // The rate, which is 0 then, and the two stretches of the latency; the one point is drawn as a line.
  expect(points.map(({ length }) => length)).toEqual([6, 2, 2])
  expect(points[2]?.[0]).toBe(points[2]?.[1])
})
