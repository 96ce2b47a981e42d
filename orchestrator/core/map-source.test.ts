import { expect, test } from 'vitest'
import { MapCell } from './map-source.js'
import { PARTITIONS } from './slot.js'
import { makeClusterMap } from './topology.js'

function mapAt(epoch: bigint, clusterId = 'c1', address = 'h:1') {
  const shards = [{ id: 1, nodes: [{ id: 'a', address }] }]
  return makeClusterMap({ clusterId, epoch, owners: Array(PARTITIONS).fill(1), shards })
}

test('readers see newer maps only, until they leave', () => {
  const cell = new MapCell(mapAt(2n))
  const seen: bigint[] = []
  const leave = cell.subscribe((map) => seen.push(map.epoch))
  expect(cell.publish(mapAt(3n))).toBe(true)
  expect(cell.publish(mapAt(3n))).toBe(false)
  expect(cell.publish(mapAt(1n))).toBe(false)
  expect(cell.current().epoch).toBe(3n)
  leave()
  cell.publish(mapAt(4n))
  expect(seen).toEqual([3n])
})

test('a node that moved while no epoch could be made is seen; an older map’s address is not', () => {
  const cell = new MapCell(mapAt(2n))
  const addresses: (string | undefined)[] = []
  cell.subscribe((map) => addresses.push(map.shards[0]?.nodes[0]?.address))
  expect(cell.publish(mapAt(2n, 'c1', 'h:2'))).toBe(true)
  expect(cell.publish(mapAt(1n, 'c1', 'h:3'))).toBe(false)
  expect(addresses).toEqual(['h:2'])
})

test('one function may subscribe twice and leave once', () => {
  const cell = new MapCell(mapAt(1n))
  const seen: bigint[] = []
  const listener = (map: { epoch: bigint }) => seen.push(map.epoch)
  const leave = cell.subscribe(listener)
  cell.subscribe(listener)
  leave()
  cell.publish(mapAt(2n))
  expect(seen).toEqual([2n])
})

test('a map of another cluster is refused', () => {
  expect(() => new MapCell(mapAt(1n)).publish(mapAt(2n, 'c2'))).toThrow(TypeError)
})

test('refresh reaches the fetcher', () => {
  const asked: bigint[] = []
  new MapCell(mapAt(1n), (atLeast) => asked.push(atLeast)).refresh(7n)
  expect(asked).toEqual([7n])
})
