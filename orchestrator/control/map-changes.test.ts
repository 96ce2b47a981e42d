import { expect, test } from 'vitest'
import type { ClusterMap, ShardInfo } from '../core/topology.js'
import { withMove, withoutShards, withShards } from './map-changes.js'
import { nextMap } from './map-keeper.js'

const shards: ShardInfo[] = [1, 2, 3].map((id) => ({ id, nodes: [{ id: `n${id}`, address: `127.0.0.1:${id}` }] }))
const two = nextMap(undefined, 'c', shards.slice(0, 2))
const three = withShards(shards.slice(2))(two)
const partition = two.owners.indexOf(1)
const range = [{ first: partition, last: partition }]

test('a new shard is there and owns nothing', () => {
  const added = { ...shards[2], incarnation: 2 }
  expect(three).toEqual({ ...two, epoch: 2n, shards: [...two.shards, added] })
})

test('a shard that is taken away and added again is another one', () => {
  const again = withShards(shards.slice(2))(withoutShards(2)(three))
  expect(again.shards.map(({ incarnation }) => incarnation)).toEqual([1, 1, 4])
})

test('a move changes the owner, in the epoch of the move or above', () => {
  expect(withMove(range, 1, 3, 9n)(three)).toMatchObject({ epoch: 9n })
  const late: ClusterMap = { ...three, epoch: 20n }
  const moved = withMove(range, 1, 3, 9n)(late)
  expect(moved.epoch).toBe(21n)
  expect(moved.owners[partition]).toBe(3)
  expect(moved.owners.filter((owner, at) => owner !== three.owners[at])).toEqual([3])
})

test('what has been done is not done again', () => {
  expect(withShards(shards.slice(2))(three)).toBe(three)
  const moved = withMove(range, 1, 3, 9n)(three)
  expect(withMove(range, 1, 3, 9n)(moved)).toBe(moved)
  expect(withoutShards(3)(moved)).toBe(moved)
})

test('nobody gives what is a third one’s, and nobody who owns something goes', () => {
  expect(() => withMove(range, 2, 3, 9n)(three)).toThrow(`partition ${partition} is not shard 2's to give`)
  expect(() => withoutShards(2)(withMove(range, 1, 3, 9n)(three))).toThrow('shard 3 still owns partitions')
  expect(withoutShards(2)(three)).toEqual({ ...two, epoch: 3n })
})
