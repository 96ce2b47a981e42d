import { describe, expect, test } from 'vitest'
import { medians } from '../load/figures.js'
import { figuresOf, type Measured } from './measure.js'
import { chartOf, tableOf } from './render.js'
import { bytesShown, fillersOf, type Sweep, sweeps } from './sweeps.js'

const done = {
  operations: 1000,
  perSecond: 500,
  p50Ms: 1,
  p99Ms: 3,
  maxMs: 9,
  cpuUs: 20_000,
  errors: 0,
  firstError: '',
}

describe('sweeps', () => {
  test('one thing varies in each, and grows', () => {
    for (const { name, clusters, x } of sweeps()) {
      const all = clusters.flat().map(x)
      expect(all, name).toEqual([...new Set(all)].sort((a, b) => a - b))
    }
  })

  test('points that share a cluster fit one', () => {
    for (const { name, clusters } of sweeps()) {
      for (const points of clusters) {
        expect(new Set(points.map(({ shards, replicas }) => `${shards} x ${replicas}`)).size, name).toBe(1)
        expect(new Set(points.map(({ valueBytes }) => valueBytes)).size, name).toBe(1)
      }
    }
  })

  test('neither the disk nor what is in flight grows with the values without end', () => {
    for (const point of sweeps().flatMap(({ clusters }) => clusters.flat())) {
      expect(point.keys).toBeGreaterThanOrEqual(1)
      expect(point.callers * point.valueBytes).toBeLessThanOrEqual(32 << 20)
      expect(fillersOf(point) * point.valueBytes).toBeLessThanOrEqual(32 << 20)
      if (point.valueBytes > 256) expect(point.keys * point.valueBytes).toBeLessThanOrEqual(128 << 20)
    }
  })

  test('the points with the most keys can be left out', () => {
    const keys = sweeps(100_000).find(({ name }) => name === 'keys')
    expect(keys?.clusters.flat().map((point) => point.keys)).toEqual([1000, 10_000, 100_000])
  })

  test('sizes in words', () => {
    expect([16, 4096, 1 << 20].map(bytesShown)).toEqual(['16 B', '4 KiB', '1 MiB'])
  })
})

describe('figures', () => {
  test('CPU per operation, and how many cores that was', () => {
    expect(figuresOf(done, 1600)).toMatchObject({ 'client CPU us/op': 20, 'client cores': 0.01, 'nodes cores': 0.8 })
  })

  test('failed operations are in no rate, but their CPU is', () => {
    const figures = figuresOf({ ...done, errors: 500, perSecond: 250 }, 1600)
    expect(figures).toMatchObject({ 'ops/s': 250, errors: 500, 'nodes cores': 0.8 })
  })

  test('the median is taken of each figure by itself', () => {
    expect(
      medians([
        { a: 1, b: 9 },
        { a: 5, b: 1 },
        { a: 3, b: 5 },
      ]),
    ).toEqual({ a: 3, b: 5 })
  })
})

test('a sweep becomes a table and a chart', () => {
  const [sweep] = sweeps() as [Sweep]
  const figures = figuresOf(done, 1600)
  const measured = sweep.clusters
    .flat()
    .flatMap((point) =>
      (['put', 'get'] as const).map((verb): Measured => ({ point, verb, median: figures, runs: [figures] })),
    )
  expect(
    tableOf(sweep, measured)
      .split('\n')
      .filter((line) => line.includes('4,096')),
  ).toHaveLength(2)
  const chart = chartOf(sweep, measured)
  expect(chart).toContain('>4,096<')
  expect(chart.split('<polyline')).toHaveLength(1 + 4)
  expect(chart).not.toContain('NaN')
})
