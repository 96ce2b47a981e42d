import { describe, expect, test } from 'vitest'
import type { ShardInfo } from '../core/topology.js'
import { mapAsItIs, nextMap } from './map-keeper.js'
import { place } from './placement.js'

const shards: ShardInfo[] = [1, 2].map((id) => ({ id, nodes: [{ id: `n${id}`, address: `127.0.0.1:${id}` }] }))
/** As the first map has them. */
const first = shards.map((shard) => ({ ...shard, incarnation: 1 }))

describe('mapAsItIs', () => {
  const map = nextMap(undefined, 'c', shards)

  test('has the nodes where they listen, and all else as it was', () => {
    const groups = [{ members: [{ id: 'n1', address: 'h:9' }] }, { members: undefined }]
    const [one, two] = first
    expect(mapAsItIs(map, groups)).toEqual({ ...map, shards: [{ ...one, nodes: groups[0]?.members }, two] })
  })

  test('is the map itself when nobody moved', () => {
    expect(mapAsItIs(map, [{ members: shards[0]?.nodes }])).toBe(map)
  })
})

describe('nextMap', () => {
  test('the first map decides the placement', () => {
    expect(nextMap(undefined, 'c', shards)).toEqual({ clusterId: 'c', epoch: 1n, owners: place([1, 2]), shards: first })
  })

  test('nothing new is the same map, not one like it', () => {
    const current = nextMap(undefined, 'c', shards)
    expect(nextMap(current, 'c', structuredClone(shards))).toBe(current)
  })

  test('a node that listens elsewhere is a new epoch with the same owners', () => {
    const current = nextMap(undefined, 'c', shards)
    const move = (shard: ShardInfo) => ({ ...shard, nodes: shard.nodes.map((node) => ({ ...node, address: 'h:9' })) })
    const next = nextMap(current, 'c', shards.map(move))
    expect(next).toEqual({ ...current, epoch: 2n, shards: first.map(move) })
  })
})
