// The cluster map of a fleet, made and encoded by the real code, and what goes over the wire when it changes.

import { seededRng } from '../../orchestrator/core/rng.js'
import { PARTITIONS } from '../../orchestrator/core/slot.js'
import { type ClusterMap, makeClusterMap, type ShardInfo } from '../../orchestrator/core/topology.js'
import { encodeClusterMap } from '../../orchestrator/wire/cluster-map.js'
import type { Fleet } from './inputs.js'
import { bytes, type Section } from './section.js'
import { placed } from './skew.js'

/** Of a gRPC message, and of the field around the map. */
const FRAME_BYTES = 5
const FIELD_BYTES = 4

export function mapOf(shards: number, replicas: number, seed: number): ClusterMap {
  const rng = seededRng(seed)
  const nodes = () => Array.from({ length: replicas }, () => ({ id: rng.id(), address: addressOf(rng.float()) }))
  const all = Array.from({ length: shards }, (_, at): ShardInfo => ({ id: at + 1, nodes: nodes() }))
  // An epoch of a cluster that has seen some years.
  return makeClusterMap({ clusterId: rng.id(), epoch: 100_000n, owners: placed(shards), shards: all })
}

function addressOf(share: number): string {
  const at = Math.floor(share * 2 ** 16)
  return `10.20.${at >> 8}.${at & 255}:${20_000 + (at % 10_000)}`
}

export function messageBytes(map: ClusterMap): number {
  return encodeClusterMap(map).length + FRAME_BYTES + FIELD_BYTES
}

/** What a message would take that says only what has changed: both epochs, each shard that changed, each partition. */
export function deltaBytes(map: ClusterMap, shards: number, partitions: number): number {
  const epochs = 2 * 4
  // A tag and a length; a partition's number and its owner's, 2 bytes each with their tags.
  return FRAME_BYTES + FIELD_BYTES + epochs + shards * shardBytes(map) + partitions * 8
}

/** What one more shard like the others adds to the map. */
function shardBytes(map: ClusterMap): number {
  const nodes = map.shards.at(-1)?.nodes.map(({ id, address }) => ({ id: [...id].reverse().join(''), address })) ?? []
  const more = makeClusterMap({ ...map, shards: [...map.shards, { id: map.shards.length + 1, nodes }] })
  return encodeClusterMap(more).length - encodeClusterMap(map).length
}

/** The registry keeps the map as base64 in JSON. */
export function registryBytes(map: ClusterMap): number {
  return JSON.stringify(Buffer.from(encodeClusterMap(map)).toString('base64')).length
}

export function mapSection({ shards, replicas, seed }: Fleet): Section {
  const counts = [...new Set([3, 100, 256, shards])].sort((a, b) => a - b)
  const maps = new Map(counts.map((count) => [count, mapOf(count, replicas, seed)]))
  const last = maps.get(shards)
  if (last === undefined) throw new Error('the fleet’s own map was not made')
  const perShard = (encodeClusterMap(last).length - 2 * PARTITIONS) / shards
  return {
    title: 'The map in bytes',
    head: ['shards', 'encoded', 'in the registry (base64 in JSON)', 'one address as a delta', 'one move as a delta'],
    rows: [...maps].map(([count, map]) => [
      count,
      encodeClusterMap(map).length,
      registryBytes(map),
      deltaBytes(map, 1, 0),
      deltaBytes(map, 0, 1),
    ]),
    notes: [
      `${perShard.toFixed(0)} bytes a shard, most of them ids of 32 hex digits: as 16 bytes each the map would be ` +
        `${bytes(encodeClusterMap(last).length - 16 * shards * replicas)}. A value of meta (1 MiB) holds ` +
        `${Math.floor((2 ** 20 - 2 * PARTITIONS) / perShard).toLocaleString('en')} shards.`,
    ],
  }
}
