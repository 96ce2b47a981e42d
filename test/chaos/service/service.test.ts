import { describe, expect, test } from 'vitest'
import type { Injected } from '../faults/inject.js'
import { goalWords } from '../report/summary.js'
import { longestGapMs } from '../traffic/probe.js'
import { CALM, gapsOf, type Service, serviceOf } from './gaps.js'
import { Timeline } from './timeline.js'

function fault(kind: string, shards: readonly number[], beganMs: number, healedMs: number): Injected {
  return { plan: { kind, target: { of: 'nodes' }, forMs: 0, params: {} }, what: kind, shards, beganMs, healedMs }
}

describe('the longest gap', () => {
  const times = [0, 10, 20, 520, 530, 2_530]
  test.each([
    [15, 25, 500],
    [0, 5, 10],
    [521, 540, 2_000],
    [0, 9_999, 2_000],
    [3_000, 4_000, 0],
  ])('from %i to %i is %i', (from, to, gap) => {
    expect(longestGapMs(times, from, to)).toBe(gap)
  })
})

test('a fault is alone when no other strikes its shards meanwhile', () => {
  const faults = [
    fault('a', [1], 0, 100),
    fault('b', [2], 50, 60),
    fault('c', [2, 3], 1_000, 1_100),
    fault('m', [], 0, 9),
  ]
  const gaps = gapsOf(faults, [1, 2, 3], (way, shard) => shard * (way === 'direct' ? 1 : 10))
  expect(gaps).toEqual([
    { kind: 'a', alone: true, directMs: 1, gatewayMs: 10 },
    { kind: 'b', alone: false, directMs: 2, gatewayMs: 20 },
    { kind: 'c', alone: false, directMs: 3, gatewayMs: 30 },
    // Of all shards, which other faults strike as well.
    { kind: 'm of meta', alone: false, directMs: 3, gatewayMs: 30 },
  ])
  expect(gapsOf([fault('m', [], 0, 9)], [1, 2], (_, shard) => shard)).toEqual([
    { kind: 'm of meta', alone: true, directMs: 2, gatewayMs: 2 },
  ])
})

test('the table has the figures of faults that were alone', () => {
  const gap = (directMs: number, alone = true) => ({ kind: 'a', alone, directMs, gatewayMs: directMs })
  expect(serviceOf([gap(1), gap(2), gap(3), gap(99, false)])).toEqual([
    {
      kind: 'a',
      faults: 4,
      alone: 3,
      direct: { medianMs: 2, p99Ms: 3 },
      gateway: { medianMs: 2, p99Ms: 3 },
      composedMsMax: 99,
    },
  ])
  expect(serviceOf([gap(5, false)])[0]?.direct).toEqual({ medianMs: undefined, p99Ms: undefined })
})

test('goals: of their own, or as nothing in the same run', () => {
  const seen = (kind: string, medianMs: number, p99Ms: number): Service => {
    const figures = { medianMs, p99Ms }
    return { kind, faults: 1, alone: 1, direct: figures, gateway: figures, composedMsMax: undefined }
  }
  const all = [
    seen(CALM, 20, 70),
    seen('kill-follower', 20, 70),
    seen('pause-follower', 21, 70),
    seen('kill-leader', 60, 1_000),
    seen('partition-leader', 700, 2_001),
    seen('transfer', 30, 5_000),
    seen('loss', 1, 1),
  ]
  expect(all.map((one) => goalWords(one, all))).toEqual([
    '',
    '20 / 70: met',
    '20 / 70: missed',
    '60 / 1000: met',
    '800 / 2000: missed',
    '30: met',
    '',
  ])
})

describe('the timeline', () => {
  test('counts in buckets', () => {
    const line = new Timeline(1_000, 100)
    line.took(1_010, 5, true)
    line.took(1_020, 7, true)
    line.took(1_030, 900, false)
    line.took(1_250, 1, true)
    line.advance(1_300)
    expect(line.buckets).toEqual([
      { good: 2, failed: 1, p50Ms: 5, p99Ms: 7 },
      { good: 0, failed: 0, p50Ms: 0, p99Ms: 0 },
      { good: 1, failed: 0, p50Ms: 1, p99Ms: 1 },
    ])
    expect(line.rate()).toBe(10)
  })

  test('stays small, and loses no operation', () => {
    const line = new Timeline(0, 1)
    for (let at = 0; at < 10_000; at++) line.took(at, 1, at % 10 !== 0)
    line.advance(20_000)
    expect(line.buckets.length).toBeLessThan(1_200)
    expect(line.buckets.reduce((sum, { good, failed }) => sum + good + failed, 0)).toBe(10_000)
  })
})
