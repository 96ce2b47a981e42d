import { type ClusterMap, makeClusterMap } from '../core/topology.js'
import { ClusterMap as WireMap } from './gen/kvorum/v1/kv.js'

/** The map's bytes, as the meta shard stores them and as they travel. */
export function encodeClusterMap(map: ClusterMap): Uint8Array {
  return WireMap.encode(clusterMapToWire(map)).finish()
}

/** Throws a TypeError unless the bytes are a whole and consistent map. */
export function decodeClusterMap(bytes: Uint8Array): ClusterMap {
  return clusterMapFromWire(WireMap.decode(bytes))
}

export function clusterMapToWire(map: ClusterMap): WireMap {
  return {
    clusterId: map.clusterId,
    epoch: map.epoch,
    owners: [...map.owners],
    shards: map.shards.map(({ id, incarnation = 0, nodes }) => ({
      id,
      incarnation: BigInt(incarnation),
      nodes: nodes.map((node) => ({ ...node })),
    })),
  }
}

export function clusterMapFromWire(map: WireMap | undefined): ClusterMap {
  if (map === undefined) throw new TypeError('not a cluster map: empty')
  const shards = map.shards.map(({ id, incarnation, nodes }) => ({
    id,
    ...(incarnation === 0n ? {} : { incarnation: Number(incarnation) }),
    nodes,
  }))
  return makeClusterMap({ ...map, shards })
}
