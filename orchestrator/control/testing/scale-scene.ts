import { setMaxListeners } from 'node:events'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { seededRng } from '../../core/rng.js'
import { silent, type Telemetry } from '../../telemetry/index.js'
import type { Operation } from '../../wire/control.js'
import { PartitionState } from '../../wire/node-admin.js'
import { type Cluster, type ClusterOptions, type Stop, startCluster } from '../cluster.js'
import { DataDirectory, groupName } from '../data-directory.js'
import type { FakeMachines } from './fake-machines.js'
import type { FakeWorld } from './fake-world.js'
import { ScaledClock } from './scaled-clock.js'

// Clusters in a fake world, mostly of one node per shard, for tests of what operations do to them.

export const never: Stop = { asked: new AbortController().signal, forced: new AbortController().signal }
setMaxListeners(0, never.asked, never.forced)
export type Pass = (what: string) => Promise<void>
const open: Pass = async () => {}

export interface StartOptions {
  readonly folder: string
  readonly world: FakeWorld
  readonly shards?: number
  /** Default 1. */
  readonly replicas?: number
  readonly pass?: Pass
  readonly clock?: ScaledClock
  readonly lingerMs?: number
  readonly replaceAfterMs?: number
  readonly replaceMachineAfterMs?: number
  /** Default: one machine. */
  readonly machines?: FakeMachines
  readonly telemetry?: Telemetry
  readonly partitionsPerMoveMax?: number
  readonly patienceMs?: number
  readonly openKeys?: ClusterOptions['openKeys']
  readonly startTimeoutMs?: number
}

const starts = new WeakMap<FakeWorld, number>()

function startsOf(world: FakeWorld): number {
  const count = (starts.get(world) ?? 0) + 1
  starts.set(world, count)
  return count
}

/** Few moves of many partitions each, so that every step of every move can be tried. */
export function start(given: StartOptions): Promise<Cluster> {
  const {
    folder,
    world,
    shards,
    replicas = 1,
    pass = open,
    clock = new ScaledClock(),
    lingerMs = 100,
    replaceAfterMs,
    replaceMachineAfterMs,
    machines,
    telemetry = silent,
    partitionsPerMoveMax = 1024,
    // Two seconds of the machine.
    patienceMs = 200_000,
    openKeys,
    // A minute of the machine, however busy it is.
    startTimeoutMs = 6_000_000,
  } = given
  const options = {
    directory: new DataDirectory(folder),
    shape: { shards, replicas: shards === undefined ? undefined : replicas },
    driver: (machines ?? world).driver(pass),
    links: world.links(pass),
    telemetry,
    clock,
    // Two orchestrators never give the same ids.
    rng: seededRng(startsOf(world)),
    pid: 1,
    startTimeoutMs,
    patienceMs,
    stopTimeoutMs: 1_000,
    lingerMs,
    replaceAfterMs,
    replaceMachineAfterMs,
    partitionsPerMoveMax,
    openKeys,
  }
  return startCluster(options, never)
}

/** More than the slowest machine takes. */
const ENDED_MS_MAX = 60_000

/** The newest operation when it has ended; as it is then, if it does not end. */
export async function ended(cluster: Pick<Cluster, 'control'>): Promise<Operation> {
  const [operation] = await cluster.control.operations()
  if (operation === undefined) throw new Error('no operation')
  let last = operation
  for await (const one of cluster.control.watch(operation.id, AbortSignal.timeout(ENDED_MS_MAX))) last = one
  return last
}

/** Map and state machines say the same, nothing is lost, and nobody runs who ought not to. */
export function expectWhole(world: FakeWorld, cluster: Pick<Cluster, 'maps'>, shards: number): void {
  expectOwners(world, cluster, shards)
  expect(namesOf(world)).toEqual(
    ['meta/node-1', ...Array.from({ length: shards }, (_, at) => `shard-${at + 1}/node-1`)].sort(),
  )
}

function expectOwners(world: FakeWorld, cluster: Pick<Cluster, 'maps'>, shards: number): void {
  const map = cluster.maps.current()
  expect(map.shards.map(({ id }) => id)).toEqual(Array.from({ length: shards }, (_, at) => at + 1))
  map.owners.forEach((owner, partition) => {
    const row = world.shard(owner).partitions.rows[partition]
    expect([partition, row?.state, row?.whole]).toEqual([partition, PartitionState.OWNED, true])
  })
}

function namesOf(world: FakeWorld): string[] {
  return [...world.running].map(({ data }) => data.spec.name).sort()
}

/**
 * Every group has so many voters and nobody else, and they are who the map and the status say; each knows the others; nobody
 * runs besides, and no directory is left over. `absent`: members (by name) that do not run.
 */
export async function expectMembers(
  { world, folder }: Pick<StartOptions, 'world' | 'folder'>,
  cluster: Cluster,
  replicas: number,
  absent: readonly string[] = [],
): Promise<void> {
  const { groups } = await cluster.control.status()
  expectOwners(world, cluster, groups.length - 1)
  for (const { shard, nodes } of groups) {
    const { members } = world.shard(shard)
    expect(members.all.every(({ voter }) => voter)).toBe(true)
    expect(members.voters).toHaveLength(replicas)
    expect(nodes.map(({ status }) => status?.nodeId).sort()).toEqual([...members.voters].sort())
    const mapped = cluster.maps.current().shards.find(({ id }) => id === shard)?.nodes ?? []
    if (shard > 0) expect(mapped.map(({ id }) => id).sort()).toEqual([...members.voters].sort())
    for (const { name } of nodes) {
      const peers = world.process(name)?.peers.map(({ id }) => id) ?? []
      if (!absent.includes(name)) expect([...peers].sort()).toEqual([...members.voters].sort())
    }
    const names = nodes.map(({ name }) => name)
    const expected = names.filter((name) => !absent.includes(name)).sort()
    expect(namesOf(world).filter((name) => names.includes(name))).toEqual(expected)
    const folders = readdirSync(join(folder, groupName(shard))).map((name) => `${groupName(shard)}/${name}`)
    expect(folders.sort()).toEqual(expected)
  }
  expect(world.running.size).toBe(groups.flatMap(({ nodes }) => nodes).length - absent.length)
}
