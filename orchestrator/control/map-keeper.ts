import { type ClusterMap, makeClusterMap, type ShardInfo } from '../core/topology.js'
import { decodeClusterMap, encodeClusterMap } from '../wire/cluster-map.js'
import type { Group } from './group.js'
import type { MetaKeys } from './meta-keys.js'
import { place } from './placement.js'

export interface KeeperDeps {
  readonly clusterId: string
  readonly store: MetaKeys
  /** The groups that are there now. Their members are known when the first map is made. */
  readonly shards: () => readonly Group[]
}

/** Makes the next map of the current one; the current one itself if it says so already. */
export type MapChange = (current: ClusterMap) => ClusterMap

/** Where meta stores the map. */
export const MAP_KEY = 'map'

/**
 * Brings the map in meta up to date with where the nodes listen and with a change, and returns it. The first map decides the
 * placement; what is stored decides from then on. Safe to run twice, at once even: each write names the version that it
 * replaces, and what another one wrote is changed anew. Rejects when `signal` is aborted, with its reason, and with what
 * the change throws.
 */
export async function agree(
  { store, shards, clusterId }: KeeperDeps,
  signal: AbortSignal,
  change: MapChange = (map) => map,
): Promise<ClusterMap> {
  for (;;) {
    const stored = await store.read(MAP_KEY, signal)
    const current = stored.value === undefined ? undefined : decodeClusterMap(stored.value)
    const wanted = change(nextMap(current, clusterId, shards().map(infoOf)))
    if (wanted === current) return wanted
    if ((await store.replace(MAP_KEY, encodeClusterMap(wanted), stored.version, signal)) !== undefined) return wanted
  }
}

/**
 * The map that ought to be: the current one itself if nothing has changed. Which shards there are and what they own is
 * changed by operations only: a group that the map does not have is one that is not in it yet, or not any more.
 */
export function nextMap(current: ClusterMap | undefined, clusterId: string, groups: readonly ShardInfo[]): ClusterMap {
  if (current === undefined) {
    const shards = groups.map((group) => ({ ...group, incarnation: 1 }))
    return makeClusterMap({ clusterId, epoch: 1n, owners: place(groups.map(({ id }) => id)), shards })
  }
  const known = new Map(groups.filter(({ nodes }) => nodes.length > 0).map(({ id, nodes }) => [id, nodes]))
  const shards = current.shards.map((shard) => ({ ...shard, nodes: known.get(shard.id) ?? shard.nodes }))
  if (JSON.stringify(current.shards) === JSON.stringify(shards)) return current
  return makeClusterMap({ ...current, epoch: current.epoch + 1n, shards })
}

/** The map with the addresses where the nodes listen: itself if it has them. For when meta cannot be asked. */
export function mapAsItIs(map: ClusterMap, groups: readonly Pick<Group, 'members'>[]): ClusterMap {
  const addresses = new Map(groups.flatMap(({ members = [] }) => members.map(({ id, address }) => [id, address])))
  const shards = map.shards.map(({ nodes, ...shard }) => ({
    ...shard,
    nodes: nodes.map((node) => ({ id: node.id, address: addresses.get(node.id) ?? node.address })),
  }))
  return JSON.stringify(map.shards) === JSON.stringify(shards) ? map : makeClusterMap({ ...map, shards })
}

export function infoOf(group: Pick<Group, 'shard' | 'members'>): ShardInfo {
  return { id: group.shard, nodes: group.members ?? [] }
}
