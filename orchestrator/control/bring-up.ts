import { setMaxListeners } from 'node:events'
import { type Clock, sleep } from '../core/clock.js'
import { PARTITIONS } from '../core/slot.js'
import type { ClusterMap } from '../core/topology.js'
import { KvError, UnavailableError } from '../errors/index.js'
import type { Telemetry } from '../telemetry/index.js'
import { decodeClusterMap } from '../wire/cluster-map.js'
import { StartFault } from './faults.js'
import type { Group } from './group.js'
import { agree, mapAsItIs } from './map-keeper.js'
import type { MetaKeys } from './meta-keys.js'
import { type Range, rangesOf } from './placement.js'
import { PUT_BACK } from './restart-policy.js'

export interface Parts {
  readonly clusterId: string
  readonly meta: Group
  readonly store: MetaKeys
  /** From now on meta can be asked for the control lease, without which `store` waits. */
  readonly lead: () => void
  readonly shards: () => readonly Group[]
  /** Done when meta has what the registry has, as far as others need it. */
  readonly recorded: (signal: AbortSignal) => Promise<void>
  /** The map that was published last, in the bytes of the wire. */
  readonly lastMap: Uint8Array | undefined
  readonly telemetry: Telemetry
  readonly clock: Clock
}

/** How long meta is waited for when there is a map to go on with. */
const META_PATIENCE_MS = 5_000
const RETRY_MS = 50

/**
 * Starts every group and returns the map when each shard serves what the map says. Every step may have been done
 * before, wholly or in part. The order is what makes that safe: the map is decided in meta before any shard is told
 * what it owns, and nobody routes by it before all have been told. Rejects with a StartFault, or the signal's reason.
 */
export async function bringUp(parts: Parts, signal: AbortSignal): Promise<ClusterMap> {
  const failed = new AbortController()
  const either = AbortSignal.any([signal, failed.signal])
  // Every group waits on it, and there may be hundreds.
  setMaxListeners(0, either)
  for (const group of [parts.meta, ...parts.shards()]) group.start()
  const needed = neededOf(parts)
  try {
    const [map] = await Promise.all([mapFor(parts, either), ...needed.map((group) => serving(group, either))])
    await Promise.all(needed.map((group) => ownByMap(group, map, parts, either)))
    // A node may have moved meanwhile, or since an old map was made: meta gets to know later.
    return mapAsItIs(map, parts.shards())
  } finally {
    // Whatever still waits has nothing to wait for.
    failed.abort()
  }
}

/** The groups that own something. One that no published map has is an operation's, which waits for it by itself. */
function neededOf({ shards, lastMap }: Parts): readonly Group[] {
  if (lastMap === undefined) return shards()
  const ids = new Set(decodeClusterMap(lastMap).shards.map(({ id }) => id))
  return shards().filter(({ shard }) => ids.has(shard))
}

/**
 * Gives a shard what the map gives it, on a first start only. After that moves alone change what a shard owns; if it knows
 * nothing of what the map gives it, its state is gone, and an assignment would make it serve emptiness.
 */
async function ownByMap(group: Group, map: ClusterMap, parts: Parts, signal: AbortSignal): Promise<void> {
  const ranges = rangesOf(map.owners, group.shard)
  await own(group, map.epoch, ranges, parts.clock, signal, parts.lastMap === undefined)
}

/** Waits until the group serves, and `isEnough`, which may throw to end the wait. Rejects with a StartFault when it cannot be started. */
export async function serving(group: Group, signal: AbortSignal, isEnough = () => true): Promise<void> {
  const holds = () => {
    if (!isEnough()) return false
    const impediment = group.impediment()
    if (impediment !== undefined) throw new StartFault(`${group.name} cannot be started: ${impediment}`)
    return group.isReady
  }
  await group.until(holds, signal)
}

/** The map in meta; the last one known if meta cannot be had: data goes on flowing without it. */
async function mapFor(parts: Parts, signal: AbortSignal): Promise<ClusterMap> {
  if (parts.lastMap === undefined) return decidedMap(parts, signal)
  const impatient = new AbortController()
  const timer = parts.clock.setTimeout(
    () => impatient.abort(new StartFault(`meta does not answer: ${parts.meta.waitsFor()}`)),
    META_PATIENCE_MS,
  )
  try {
    return await decidedMap(parts, AbortSignal.any([signal, impatient.signal]))
  } catch (error) {
    if (signal.aborted || !(error instanceof StartFault)) throw error
    const map = decodeClusterMap(parts.lastMap)
    parts.telemetry.emit('map.stale', { epoch: map.epoch, reason: error.message })
    return map
  } finally {
    timer.cancel()
  }
}

async function decidedMap(parts: Parts, signal: AbortSignal): Promise<ClusterMap> {
  await serving(parts.meta, signal)
  const all = [{ first: 0, last: PARTITIONS - 1 }]
  await own(parts.meta, 1n, all, parts.clock, signal, parts.lastMap === undefined)
  parts.lead()
  for (const group of neededOf(parts)) await group.until(() => group.members !== undefined, signal)
  await parts.recorded(signal)
  return agree(parts, signal)
}

/**
 * Makes the shard the owner of its partitions, unless it was told before. A shard that is not `fresh` may only be told that
 * it owns nothing: a StartFault says so otherwise.
 */
export async function own(
  group: Group,
  epoch: bigint,
  ranges: readonly Range[],
  clock: Clock,
  signal: AbortSignal,
  fresh: boolean,
): Promise<void> {
  for (;;) {
    await group.until(() => group.isReady, signal)
    const admin = group.leader?.admin
    try {
      const status = await admin?.status()
      if (status !== undefined && status.ownershipEpoch > 0n) return
      if (fresh || ranges.length === 0) await admin?.assignPartitions(epoch, ranges)
      else return await expectKnown(group)
    } catch (error) {
      // Another leader, or a lost answer: looked at again.
      if (!(error instanceof KvError)) throw error
      await sleep(clock, RETRY_MS, signal)
    }
  }
}

/** Asked of the log: a status may be from a node that does not lead any more. */
async function expectKnown(group: Group): Promise<void> {
  const known = await group.leader?.admin?.partitions()
  if (known === undefined) throw new UnavailableError(`${group.name} has no leader`, { outcome: 'not-applied' })
  if (known.length > 0) return
  throw new StartFault(`${group.name} knows nothing of the partitions that it has owned: its data is gone. ${PUT_BACK}`)
}
