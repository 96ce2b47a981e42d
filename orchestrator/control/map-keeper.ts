import { type Clock, sleep } from '../core/clock.js'
import { type ClusterMap, makeClusterMap, type ShardInfo } from '../core/topology.js'
import { KvError } from '../errors/index.js'
import { decodeClusterMap, encodeClusterMap } from '../wire/cluster-map.js'
import type { Group } from './group.js'
import type { Links } from './links.js'
import { place } from './placement.js'

export interface KeeperDeps {
  readonly clusterId: string
  readonly meta: Group
  /** The groups that own partitions. Their members are known when `agree` is called. */
  readonly shards: readonly Group[]
  readonly links: Links
  readonly clock: Clock
}

/** Where meta stores the map. */
const KEY = Buffer.from('map')
const CALL_MS = 2_000
const RETRY_MS = 50

/**
 * Brings the map in meta up to date with where the nodes listen, and returns it. The first map decides the placement;
 * what is stored decides from then on. Safe to run twice, at once even: each write names the version that it replaces.
 * Rejects only when `signal` is aborted, with its reason.
 */
export async function agree(deps: KeeperDeps, signal: AbortSignal): Promise<ClusterMap> {
  for (;;) {
    await deps.meta.until(() => deps.meta.isReady, signal)
    try {
      return await tryToAgree(deps)
    } catch (error) {
      // Another leader, a lost answer, somebody else's write: all of them show when it is read again.
      if (!(error instanceof KvError)) throw error
      await sleep(deps.clock, RETRY_MS, signal)
    }
  }
}

async function tryToAgree({ meta, shards, clusterId, links }: KeeperDeps): Promise<ClusterMap> {
  const { leader } = meta
  const peer = { cluster: clusterId, shard: meta.shard, node: leader?.status?.nodeId }
  const kv = links.kv(leader?.address ?? '', peer)
  try {
    const stored = await kv.get(KEY, { deadlineMs: CALL_MS })
    const current = stored.found ? decodeClusterMap(stored.value) : undefined
    const wanted = nextMap(current, clusterId, shards.map(infoOf))
    if (wanted !== current) {
      await kv.put(KEY, encodeClusterMap(wanted), { deadlineMs: CALL_MS, ifVersion: stored.version })
    }
    return wanted
  } finally {
    kv.close()
  }
}

/** The map that ought to be: the current one itself if nothing has changed. */
export function nextMap(current: ClusterMap | undefined, clusterId: string, shards: readonly ShardInfo[]): ClusterMap {
  if (current === undefined) {
    return makeClusterMap({ clusterId, epoch: 1n, owners: place(shards.map(({ id }) => id)), shards })
  }
  if (JSON.stringify(current.shards) === JSON.stringify(shards)) return current
  return makeClusterMap({ ...current, epoch: current.epoch + 1n, shards })
}

/** The map with the addresses where the nodes listen: itself if it has them. For when meta cannot be asked. */
export function mapAsItIs(map: ClusterMap, groups: readonly Pick<Group, 'members'>[]): ClusterMap {
  const addresses = new Map(groups.flatMap(({ members = [] }) => members.map(({ id, address }) => [id, address])))
  const shards = map.shards.map(({ id, nodes }) => ({
    id,
    nodes: nodes.map((node) => ({ id: node.id, address: addresses.get(node.id) ?? node.address })),
  }))
  return JSON.stringify(map.shards) === JSON.stringify(shards) ? map : makeClusterMap({ ...map, shards })
}

function infoOf(group: Group): ShardInfo {
  return { id: group.shard, nodes: group.members ?? [] }
}
