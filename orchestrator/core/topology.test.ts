import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { PARTITIONS, partitionOf } from './slot.js'
import { type ClusterMap, makeClusterMap, shardOf } from './topology.js'

function mapWith(changed: Partial<ClusterMap> = {}): ClusterMap {
  return {
    clusterId: 'c1',
    epoch: 1n,
    owners: Array.from({ length: PARTITIONS }, (_, partition) => 1 + (partition % 2)),
    shards: [
      { id: 1, nodes: [{ id: 'a', address: '127.0.0.1:1' }] },
      { id: 2, nodes: [{ id: 'b', address: '127.0.0.1:2' }] },
    ],
    ...changed,
  }
}

describe('makeClusterMap', () => {
  test('copies and freezes all of it', () => {
    const source = mapWith()
    const map = makeClusterMap(source)
    expect(map).toEqual(source)
    expect(map.owners).not.toBe(source.owners)
    const parts = [map, map.owners, map.shards, map.shards[0], map.shards[0]?.nodes, map.shards[0]?.nodes[0]]
    expect(parts.every(Object.isFrozen)).toBe(true)
  })

  test.each<[string, Partial<ClusterMap>, RegExp]>([
    ['no cluster id', { clusterId: '' }, /no cluster id/],
    ['epoch 0', { epoch: 0n }, /epoch 0/],
    ['too few owners', { owners: [1] }, /1 owners instead of 1024/],
    ['an owner that is no shard', { owners: Array(PARTITIONS).fill(9) }, /no shards: 9/],
    ['a shard twice', { shards: [...mapWith().shards, ...mapWith().shards] }, /shard id is there twice/],
    ['meta among the shards', { shards: [...mapWith().shards, { id: 0, nodes: [] }] }, /shard 0 is meta/],
    ['a shard without nodes', { shards: [...mapWith().shards, { id: 3, nodes: [] }] }, /shard 3 has no nodes/],
    [
      'a node in two shards',
      { shards: [1, 2].map((id) => ({ id, nodes: [{ id: 'same', address: 'h:1' }] })) },
      /node id is there twice/,
    ],
  ])('refuses %s', (_, fault, message) => {
    expect(() => makeClusterMap(mapWith(fault))).toThrow(message)
    expect(() => makeClusterMap(mapWith(fault))).toThrow(TypeError)
  })

  test('names every fault at once', () => {
    expect(() => makeClusterMap(mapWith({ clusterId: '', epoch: 0n }))).toThrow(/no cluster id; epoch 0/)
  })
})

test('shardOf follows the owners', () => {
  const owners = fc.array(fc.integer({ min: 1, max: 2 }), { minLength: PARTITIONS, maxLength: PARTITIONS })
  fc.assert(
    fc.property(owners, fc.uint8Array({ minLength: 1, maxLength: 32 }), (chosen, key) => {
      expect(shardOf(makeClusterMap(mapWith({ owners: chosen })), key)).toBe(chosen[partitionOf(key)])
    }),
    { numRuns: 30 },
  )
})
