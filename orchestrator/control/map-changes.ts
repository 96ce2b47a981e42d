import { type ClusterMap, makeClusterMap, type ShardInfo } from '../core/topology.js'
import type { MapChange } from './map-keeper.js'
import type { Range } from './placement.js'

// What operations do to the map. Each is idempotent: a map that has it already is returned as it is.

/** Adds shards that own nothing yet. */
export function withShards(added: readonly ShardInfo[]): MapChange {
  return (current) => {
    const known = new Set(current.shards.map(({ id }) => id))
    const fresh = added.filter(({ id }) => !known.has(id))
    if (fresh.length === 0) return current
    const epoch = current.epoch + 1n
    const born = fresh.map((shard) => ({ ...shard, incarnation: Number(epoch) }))
    const shards = [...current.shards, ...born].sort((a, b) => a.id - b.id)
    return makeClusterMap({ ...current, epoch, shards })
  }
}

/** Gives partitions to the shard that has taken them over. The map's epoch is at least the move's. */
export function withMove(partitions: readonly Range[], from: number, to: number, epoch: bigint): MapChange {
  return (current) => {
    const owners = [...current.owners]
    for (const partition of numbersOf(partitions)) {
      const owner = owners[partition]
      if (owner !== from && owner !== to) {
        throw new TypeError(`partition ${partition} is not shard ${from}'s to give: it is shard ${owner}'s`)
      }
      owners[partition] = to
    }
    if (owners.every((owner, partition) => owner === current.owners[partition])) return current
    return makeClusterMap({ ...current, epoch: greater(current.epoch + 1n, epoch), owners })
  }
}

/** Takes shards out that own nothing any more. */
export function withoutShards(last: number): MapChange {
  return (current) => {
    const owner = current.owners.find((one) => one > last)
    if (owner !== undefined) throw new TypeError(`shard ${owner} still owns partitions`)
    const shards = current.shards.filter(({ id }) => id <= last)
    return shards.length === current.shards.length ? current : afterwards(current, shards)
  }
}

function afterwards(current: ClusterMap, shards: readonly ShardInfo[]): ClusterMap {
  return makeClusterMap({ ...current, epoch: current.epoch + 1n, shards })
}

/** Every partition of the ranges. */
export function numbersOf(ranges: readonly Range[]): number[] {
  return ranges.flatMap(({ first, last }) => Array.from({ length: last - first + 1 }, (_, at) => first + at))
}

function greater(a: bigint, b: bigint): bigint {
  return a > b ? a : b
}
