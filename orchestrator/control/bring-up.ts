import { setMaxListeners } from 'node:events'
import { type Clock, sleep } from '../core/clock.js'
import { PARTITIONS } from '../core/slot.js'
import type { ClusterMap } from '../core/topology.js'
import { KvError } from '../errors/index.js'
import type { Telemetry } from '../telemetry/index.js'
import { decodeClusterMap } from '../wire/cluster-map.js'
import { StartFault } from './faults.js'
import type { Group } from './group.js'
import type { Links } from './links.js'
import { agree, mapAsItIs } from './map-keeper.js'
import { type Range, rangesOf } from './placement.js'

export interface Parts {
  readonly clusterId: string
  readonly meta: Group
  readonly shards: readonly Group[]
  /** The map that was published last, in the bytes of the wire. */
  readonly lastMap: Uint8Array | undefined
  readonly links: Links
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
  for (const group of [parts.meta, ...parts.shards]) group.start()
  try {
    const [map] = await Promise.all([mapFor(parts, either), ...parts.shards.map((group) => serving(group, either))])
    await Promise.all(
      parts.shards.map((group) => own(group, map.epoch, rangesOf(map.owners, group.shard), parts.clock, either)),
    )
    // A node may have moved meanwhile, or since an old map was made: meta gets to know later.
    return mapAsItIs(map, parts.shards)
  } finally {
    // Whatever still waits has nothing to wait for.
    failed.abort()
  }
}

async function serving(group: Group, signal: AbortSignal): Promise<void> {
  const holds = () => {
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
  await own(parts.meta, 1n, [{ first: 0, last: PARTITIONS - 1 }], parts.clock, signal)
  for (const group of parts.shards) await group.until(() => group.members !== undefined, signal)
  return agree(parts, signal)
}

/** Makes the shard the owner of its partitions, unless it owns some already: then it was told before. */
async function own(
  group: Group,
  epoch: bigint,
  ranges: readonly Range[],
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    await group.until(() => group.isReady, signal)
    const admin = group.leader?.admin
    try {
      const status = await admin?.status()
      if (status !== undefined && status.ownershipEpoch > 0n) return
      await admin?.assignPartitions(epoch, ranges)
    } catch (error) {
      // Another leader, or a lost answer: looked at again.
      if (!(error instanceof KvError)) throw error
      await sleep(clock, RETRY_MS, signal)
    }
  }
}
