// The recorded load itself, around an operation that every cluster knows: a leader is handed over.
import { existsSync } from 'node:fs'
import { expect, test } from 'vitest'
import type { HistoryLine } from '../chaos/model/format.js'
import { Cluster } from '../harness/cluster.js'
import { failuresOf, recorded } from './recorded.js'

test('clients work on while something is done to the cluster, and every answer is right', async () => {
  const cluster = await Cluster.start({ shards: 2, replicas: 3 })
  try {
    const handOver = async (): Promise<string> => {
      const [follower] = await cluster.followersOf(1)
      if (follower === undefined) throw new Error('a leader without followers')
      return (await cluster.moveLeaderTo(follower)).id
    }
    const result = await recorded(cluster, handOver, { seed: 7 })
    console.log('while a leader was handed over:', result.counts, 'longest gaps, ms:', result.gapMs)
    expect(result.violations, `all of it is in ${result.folder}`).toEqual([])
    expect(result.failures).toEqual([])
    expect(result.value).toBe((await cluster.leaderOf(1)).id)
    // Else nothing was tested.
    expect(result.counts.acknowledged).toBeGreaterThan(20)
    expect(result.counts.keys).toBeGreaterThan(20)
    expect(existsSync(result.folder)).toBe(result.counts.undecided > 0)
  } finally {
    await cluster.dispose()
  }
})

test('an operation that fails is reported, and nothing goes on', async () => {
  const cluster = await Cluster.start({ shards: 1, replicas: 1 })
  try {
    const fails = () => Promise.reject(new Error('not today'))
    await expect(recorded(cluster, fails, { seed: 8 })).rejects.toThrow('not today')
  } finally {
    await cluster.dispose()
  }
})

test('whatever is no success is a failure, but for a condition that did not hold', () => {
  const line: HistoryLine = { id: 1, client: 'c', key: 'k', op: 'put', call: 1, return: 2, outcome: 'ok' }
  const lines: HistoryLine[] = [
    line,
    { ...line, outcome: 'precondition', code: 'PRECONDITION_FAILED' },
    { ...line, outcome: 'not-applied', code: 'WRONG_SHARD' },
    { ...line, outcome: 'unknown', code: 'DEADLINE_EXCEEDED', return: null },
  ]
  expect(failuresOf(lines)).toEqual([
    'put 1 of k by c: WRONG_SHARD (not-applied)',
    'put 1 of k by c: DEADLINE_EXCEEDED (unknown)',
  ])
})
