import { type Clock, sleep } from '../core/clock.js'
import type { MapSource } from '../core/map-source.js'
import type { Rng } from '../core/rng.js'
import type { ClusterMap, NodeInfo } from '../core/topology.js'
import type { Telemetry } from '../telemetry/index.js'
import { decodeClusterMap } from '../wire/cluster-map.js'
import type { ControlHandlers } from '../wire/control.js'
import { bringUp } from './bring-up.js'
import { Claim, type Heir, originIn } from './claim.js'
import type { DataDirectory } from './data-directory.js'
import type { Driver } from './drivers/driver.js'
import { StartFault } from './faults.js'
import { FencedStore } from './fence.js'
import { adviceFor, firstStartOf, removeUnplanned } from './first-start.js'
import { Fleet } from './fleet.js'
import type { Group } from './group.js'
import type { Lease } from './lease.js'
import { leftRunning } from './left-running.js'
import type { Links } from './links.js'
import { expectRegistry, lostRegistry } from './lost-registry.js'
import { tellAbsentMachines } from './machine-news.js'
import { MapPublisher } from './map-publisher.js'
import type { OpenKeys } from './operations/kind.js'
import { describePlan } from './plan.js'
import { tellPrograms } from './program-news.js'
import { type ClusterRecord, Registry } from './registry.js'
import { RegistryCopy } from './registry-copy.js'
import { otherCluster } from './same-data.js'
import { isShapeOf, type Shape, shapeFor } from './shape.js'
import { steer } from './steering.js'

export interface ClusterOptions {
  readonly directory: DataDirectory
  /** Of a new cluster; chosen when it is left out. */
  readonly clusterId?: string
  /** What was asked for; what is left out is as the data has it. */
  readonly shape: Partial<Shape>
  readonly driver: Driver
  readonly links: Links
  readonly telemetry: Telemetry
  readonly clock: Clock
  readonly rng: Rng
  /** This process: people who meet the data directory's lock are told. */
  readonly pid: number
  readonly startTimeoutMs: number
  readonly stopTimeoutMs: number
  /** How long a shard that is taken away stays when it owns nothing any more. */
  readonly lingerMs: number
  /** After each move of partitions is a rest so many times as long as it took. Default 3. */
  readonly moveRestFactor?: number
  /** How long a leader must have led, or a disk have been slow, before leadership is moved because of that. Default 10 s. */
  readonly leaderSettleMs?: number
  /** How long a node must have been lost to be replaced by itself. Default 0: none is. */
  readonly replaceAfterMs?: number
  /** How long a machine must have been silent for its nodes to be replaced by themselves. Default 0: none is. */
  readonly replaceMachineAfterMs?: number
  /** How long people's tools wait for meta; for tests. */
  readonly patienceMs?: number
  /** For operations on keys. Default: none begins. */
  readonly openKeys?: OpenKeys
  /** Default PARTITIONS_PER_MOVE_MAX. */
  readonly partitionsPerMoveMax?: number
  /** Who holds the control lease: a name that no other process has, and where its gateway listens. Default: a random one. */
  readonly holder?: { readonly id: string; readonly address: () => string }
  /** The nodes are another one's: a start that does not come to its end leaves them running. Default false. */
  readonly takesOver?: boolean
  /** Of one that takes over nodes that any orchestrator can run: where meta is, which has what its registry may lack. */
  readonly from?: Heir
}

/** That a person wants it to end. */
export interface Stop {
  /** Aborted when it is to end in order. */
  readonly asked: AbortSignal
  /** Aborted when it is to end now. */
  readonly forced: AbortSignal
}

const PROGRESS_EVERY_MS = 1_000

/** A cluster on this machine: its nodes' processes and its map. */
export interface Cluster {
  readonly shape: Shape
  readonly maps: MapSource
  /** What people's tools ask of it. */
  readonly control: ControlHandlers
  readonly lease: Lease
  /** Meta's nodes; empty until all of them have told who they are. */
  meta(): readonly NodeInfo[]
  /** Leaves every node running, for another orchestrator, and gives the data directory free. */
  leave(): Promise<void>
  /** Stops every node, by force those that take too long, and gives the data directory free. Says which go on, and why. */
  stop(forced: AbortSignal): Promise<string | undefined>
}

/**
 * Resolves when every shard has a leader that serves, whatever of that an earlier orchestrator has done. Rejects with a
 * StartFault, or with anything when `stop` is asked for; no process is left then that was started here.
 */
export async function startCluster(options: ClusterOptions, stop: Stop): Promise<Cluster> {
  options.driver.check()
  const isCopied = options.from !== undefined
  // First, so that nothing is written beside what somebody may want to repair.
  if (!isCopied) expectRegistry(options.directory)
  // Whoever takes over on this machine comes often, until the lock is free; the one before it could write there.
  if (options.takesOver !== true) options.directory.prepare()
  else options.directory.make()
  const registry = await Registry.open(options.directory, options.pid, isCopied)
  try {
    await expectNoOther(registry, options)
    const origin = options.from ?? (options.driver.roams === true ? await originIn(registry) : undefined)
    const asked = origin === undefined ? undefined : await Claim.ask(registry, origin, options, stop.asked)
    return await startWith(asked, registry, options, stop)
  } catch (error) {
    await registry.close()
    throw error
  }
}

/** Before the lease is taken: what the registry of another cluster knows would be written over, and nobody else knows it. */
async function expectNoOther(registry: Registry, { directory, from }: ClusterOptions): Promise<void> {
  const has = await registry.cluster()
  if (from === undefined || has === undefined || has.clusterId === from.clusterId) return
  throw otherCluster(directory, has.clusterId, from.clusterId)
}

async function startWith(
  asked: Claim | undefined,
  registry: Registry,
  options: ClusterOptions,
  stop: Stop,
): Promise<Cluster> {
  try {
    const record = await recordFor(registry, options)
    const claim = asked ?? (await Claim.own(registry, record.clusterId, options))
    return await startGroups(claim, registry, record, options, stop)
  } catch (error) {
    await asked?.close()
    throw error
  }
}

/** Which cluster it is. Decided once, before anything else is made. */
async function recordFor(
  registry: Registry,
  { directory, shape, rng, driver, clusterId }: ClusterOptions,
): Promise<ClusterRecord> {
  const has = await registry.cluster()
  const lost = has === undefined ? lostRegistry(directory) : undefined
  if (lost !== undefined) throw lost
  const wanted = shapeFor(directory, has, shape, await firstStartOf(registry))
  const record: ClusterRecord = { format: 1, clusterId: clusterId ?? rng.id(), ...has, ...wanted }
  if (clusterId !== undefined && clusterId !== record.clusterId) {
    throw otherCluster(directory, record.clusterId, clusterId)
  }
  if (has === undefined || !isShapeOf(has, wanted)) {
    await removeUnplanned(wanted, { registry, driver, directory, clusterId: record.clusterId })
    await registry.setCluster(record)
  }
  if (record.program !== undefined) driver.check(directory.program(record.program))
  return record
}

async function startGroups(
  claim: Claim,
  registry: Registry,
  record: ClusterRecord,
  options: ClusterOptions,
  stop: Stop,
): Promise<Cluster> {
  const { telemetry, clock, stopTimeoutMs, driver } = options
  const [{ clusterId }, { lease }] = [record, claim]
  // Meta's nodes are found before there is a term of one's own. Whoever had the last one had this registry's lock, and is gone.
  driver.lead?.(await registry.term())
  const hooks = { moved: () => {} }
  const lastMap = await registry.map()
  const needed = lastMap === undefined ? record.shards : greatestIn(decodeClusterMap(lastMap))
  const store = new FencedStore(claim.records, lease)
  const copy = driver.roams === true ? new RegistryCopy({ ...options, registry, store }) : undefined
  const recorded = async (signal?: AbortSignal) => copy?.settled(signal)
  const how = { recorded, adopts: driver.roams === true && lastMap !== undefined, moved: () => hooks.moved() }
  const fleet = await Fleet.open({ ...options, registry, ...how }, record, needed).catch(async (error: unknown) => {
    await copy?.close()
    throw error
  })
  const { meta } = fleet
  claim.runs(meta)
  const lead = () => lease.start()
  const parts = { clusterId, meta, store, lead, recorded, shards: () => fleet.shards, lastMap, telemetry, clock }
  try {
    telemetry.emit('start.progress', { doing: describePlan(record), seconds: 0 })
    const map = await inTime(fleet, { ...options, isFirst: lastMap === undefined }, stop.asked, async (signal) => {
      const first = await bringUp(parts, signal)
      // Before anybody can join: who takes over later finds every group in meta.
      if (lastMap === undefined) await recorded(signal)
      return first
    })
    // Also when meta was away: it is taken as soon as it can be.
    lead()
    const publisher = await MapPublisher.begin({ ...parts, remember: (bytes) => registry.setMap(bytes) }, map)
    hooks.moved = () => publisher.moved()
    // A node may have moved meanwhile, or the map may be an old one.
    publisher.moved()
    await tellPrograms({ ...options, registry })
    await tellAbsentMachines({ ...options, registry })
    const steering = await steer({ ...options, registry, fleet, store, publisher, lease })
    const end = async (nodes: (group: Group) => Promise<void>) => {
      await Promise.all([steering.close(), publisher.close(), claim.close(), copy?.close()])
      await Promise.all(fleet.all.map(nodes))
      await registry.close()
    }
    return {
      shape: record,
      maps: publisher.maps,
      control: steering.control,
      lease,
      meta: () => meta.members ?? [],
      stop: async (forced) => {
        await end((group) => group.stop(stopTimeoutMs, forced))
        return leftRunning(fleet.all)
      },
      leave: () => end((group) => group.leave()),
    }
  } catch (error) {
    await Promise.all([claim.close(), copy?.close()])
    // Asked to stop: everything stops. Failed: what ran before goes on running.
    const end = options.takesOver === true ? 'leave' : stop.asked.aborted ? 'stop' : 'release'
    await Promise.all(fleet.all.map((group) => group[end](stopTimeoutMs, stop.forced)))
    throw error
  }
}

function greatestIn(map: ClusterMap): number {
  return Math.max(...map.shards.map(({ id }) => id))
}

/** Runs a start, telling how far it has got, until it is done, takes too long or is not wanted any more. */
async function inTime<T>(
  fleet: Fleet,
  { clock, telemetry, startTimeoutMs, isFirst, directory }: ClusterOptions & { readonly isFirst: boolean },
  asked: AbortSignal,
  start: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const over = new AbortController()
  const missing = () => fleet.all.filter((group) => !group.isReady)
  const late = clock.setTimeout(() => {
    const why = missing().map((group) => `${group.waitsFor()}: ${group.troubles()}`)
    const what = why.join('; ') || 'the shards to take over their partitions'
    const advice = isFirst ? adviceFor(fleet.all, directory) : ''
    over.abort(new StartFault(`not ready after ${startTimeoutMs / 1000} s; still waiting for ${what}${advice}`))
  }, startTimeoutMs)
  const progress = tellProgress(missing, telemetry, clock, over.signal)
  try {
    return await start(AbortSignal.any([asked, over.signal]))
  } finally {
    late.cancel()
    over.abort()
    await progress
  }
}

async function tellProgress(
  missing: () => readonly Group[],
  telemetry: Telemetry,
  clock: Clock,
  over: AbortSignal,
): Promise<void> {
  const began = clock.monotonic()
  while (!over.aborted) {
    await sleep(clock, PROGRESS_EVERY_MS, over).catch(() => {})
    const groups = missing()
    if (over.aborted || groups.length === 0) continue
    const doing = `waiting for ${groups.map((group) => group.waitsFor()).join(', ')}`
    telemetry.emit('start.progress', { doing, seconds: (clock.monotonic() - began) / 1000 })
  }
}
