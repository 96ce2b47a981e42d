import { PARTITIONS, partitionOf } from './slot.js'

/**
 * Who owns what and where it runs. Frozen: a change is a new map with a greater epoch, made by control only. Without meta
 * no epoch can be made; a map may then come again with its epoch and with the addresses of now.
 */
export interface ClusterMap {
  readonly clusterId: string
  readonly epoch: bigint
  /** Element p is the id of the shard that owns partition p; PARTITIONS elements. */
  readonly owners: readonly number[]
  readonly shards: readonly ShardInfo[]
}

export interface ShardInfo {
  /** From 1; 0 is meta, which is in no map. */
  readonly id: number
  /**
   * The epoch of the first map that had it: a shard that is taken away and added again has its id, and another log. Absent for
   * shards that are older than this field.
   */
  readonly incarnation?: number
  readonly nodes: readonly NodeInfo[]
}

export interface NodeInfo {
  /** Random, made with the node's data directory; never used again for other data. */
  readonly id: string
  /** host:port. It may change while the id stays. */
  readonly address: string
}

/** Checks a map from anywhere, copies and freezes it. Throws a TypeError that names every fault. */
export function makeClusterMap(map: ClusterMap): ClusterMap {
  const faults = faultsOf(map)
  if (faults.length > 0) throw new TypeError(`not a cluster map: ${faults.join('; ')}`)
  return Object.freeze({
    clusterId: map.clusterId,
    epoch: map.epoch,
    owners: Object.freeze([...map.owners]),
    shards: Object.freeze(map.shards.map(freezeShard)),
  })
}

function freezeShard(shard: ShardInfo): ShardInfo {
  const nodes = shard.nodes.map((node) => Object.freeze({ id: node.id, address: node.address }))
  const { id, incarnation } = shard
  return Object.freeze({ id, ...(incarnation === undefined ? {} : { incarnation }), nodes: Object.freeze(nodes) })
}

function faultsOf(map: ClusterMap): string[] {
  const faults: string[] = []
  if (map.clusterId === '') faults.push('no cluster id')
  if (map.epoch <= 0n) faults.push(`epoch ${map.epoch} is not positive`)
  if (map.owners.length !== PARTITIONS) faults.push(`${map.owners.length} owners instead of ${PARTITIONS}`)
  const ids = new Set(map.shards.map((shard) => shard.id))
  if (ids.size !== map.shards.length) faults.push('a shard id is there twice')
  if (ids.has(0)) faults.push('shard 0 is meta')
  const unknown = new Set(map.owners.filter((owner) => !ids.has(owner)))
  if (unknown.size > 0) faults.push(`owners that are no shards: ${[...unknown].join(', ')}`)
  faults.push(...nodeFaults(map.shards))
  return faults
}

function nodeFaults(shards: readonly ShardInfo[]): string[] {
  const faults = shards.filter((shard) => shard.nodes.length === 0).map((shard) => `shard ${shard.id} has no nodes`)
  const nodes = shards.flatMap((shard) => shard.nodes)
  if (nodes.some((node) => node.id === '' || node.address === '')) faults.push('a node has no id or no address')
  if (new Set(nodes.map((node) => node.id)).size !== nodes.length) faults.push('a node id is there twice')
  return faults
}

/** Whether the map is to be used in place of the other: a newer one, or the same one with other addresses. */
export function supersedes(map: ClusterMap, other: ClusterMap): boolean {
  if (map.epoch !== other.epoch) return map.epoch > other.epoch
  return JSON.stringify(map.shards) !== JSON.stringify(other.shards)
}

/** The id of the shard that owns a key. */
export function shardOf(map: ClusterMap, key: Uint8Array): number {
  const owner = map.owners[partitionOf(key)]
  if (owner === undefined) throw new Error('a cluster map that was not made by makeClusterMap')
  return owner
}
