import { expect, test } from 'vitest'
import type { OperationRecord } from '../operations/record.js'
import { busyGroups, claimedGroups } from './busy.js'

const common = { format: 1, id: 'a', state: 'running', paused: false, begunAt: 1, endedAt: 0 } as const
const move = { partitions: [], epoch: 0, attempts: 0, records: 0, bytes: 0, pauseUs: 0 }
const reshard: OperationRecord = {
  ...{ ...common, kind: 'reshard', fromShards: 3, toShards: 5, turned: false, retiring: false },
  moves: [
    { ...move, from: 1, to: 4, state: 'done' },
    { ...move, from: 2, to: 5, state: 'running' },
    { ...move, from: 3, to: 5, state: 'waiting' },
  ],
}
const step = { index: 1, program: null, before: null }
const rolling: OperationRecord = {
  ...{ ...common, kind: 'rolling', programBefore: null, turned: false, raising: false, trouble: '' },
  nodes: [
    { ...step, shard: 0, state: 'done' },
    { ...step, shard: 1, state: 'running' },
    { ...step, shard: 2, state: 'waiting' },
  ],
}
const change = { how: 'add', index: 4, attempts: 1 } as const
const replicas: OperationRecord = {
  ...{ ...common, kind: 'replicas', fromReplicas: 3, toReplicas: 5, turned: false },
  changes: [
    { ...change, shard: 0, state: 'done' },
    { ...change, shard: 1, state: 'running' },
    { ...change, shard: 2, state: 'waiting' },
  ],
}
const replace: OperationRecord = {
  ...{ ...common, kind: 'replace', shard: 3, leaver: 1, joiner: 0, attempts: 0, stage: 'bring', by: 'person' },
}

test.each<readonly [string, OperationRecord, readonly number[], readonly number[]]>([
  ['a reshard: giver and receiver of the move under way', reshard, [2, 5], [2, 5]],
  ['a rolling restart: where a node is restarted; it comes to all of its groups', rolling, [1], [0, 1, 2]],
  ['one that has paused: only where a node is restarted', { ...rolling, paused: true }, [1], [1]],
  ['a change of replicas: the change under way', replicas, [1], [1]],
  ['a replacement: its group', replace, [3], [3]],
  ['what has ended: nothing', { ...rolling, state: 'done' }, [], []],
])('%s', (_, record, busy, claimed) => {
  expect([...busyGroups([record])]).toEqual(busy)
  expect([...claimedGroups([record])].sort()).toEqual(claimed)
})
