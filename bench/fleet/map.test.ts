import { expect, test } from 'vitest'
import { clusterMapToWire, decodeClusterMap, encodeClusterMap } from '../../orchestrator/wire/cluster-map.js'
import { ClusterMapResponse } from '../../orchestrator/wire/gen/kvorum/v1/kv.js'
import { deltaBytes, mapOf, messageBytes, registryBytes } from './map.js'

test('the same map for the same seed, and one that the real code takes', () => {
  const map = mapOf(1000, 3, 1)
  expect(decodeClusterMap(encodeClusterMap(map))).toEqual(map)
  expect(encodeClusterMap(mapOf(1000, 3, 1))).toEqual(encodeClusterMap(map))
  expect(encodeClusterMap(mapOf(1000, 3, 2))).not.toEqual(encodeClusterMap(map))
})

test('a message is counted with what goes around the map', () => {
  const map = mapOf(1000, 3, 1)
  // The compressed flag and the length.
  const frame = 5
  expect(messageBytes(map)).toBe(ClusterMapResponse.encode({ map: clusterMapToWire(map) }).finish().length + frame)
})

test('the registry holds four characters for three bytes, and two quotes', () => {
  const map = mapOf(10, 3, 1)
  expect(registryBytes(map)).toBe(4 * Math.ceil(encodeClusterMap(map).length / 3) + 2)
})

test('a delta grows with what changes, and not with the map', () => {
  const [small, large] = [mapOf(10, 3, 1), mapOf(1000, 3, 1)]
  expect(deltaBytes(large, 0, 1)).toBe(deltaBytes(small, 0, 1))
  expect(Math.abs(deltaBytes(large, 1, 0) - deltaBytes(small, 1, 0))).toBeLessThan(10)
  // Three nodes of an id of 32 letters and an address each.
  expect(deltaBytes(large, 1, 0)).toBeGreaterThan(3 * (32 + 12))
})
