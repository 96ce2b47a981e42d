import { setMaxListeners } from 'node:events'
import { expect } from 'vitest'
import { seededRng } from '../../core/rng.js'
import { silent } from '../../telemetry/index.js'
import type { Operation } from '../../wire/control.js'
import { PartitionState } from '../../wire/node-admin.js'
import { type Cluster, type Stop, startCluster } from '../cluster.js'
import { DataDirectory } from '../data-directory.js'
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
  readonly partitionsPerMoveMax?: number
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
    partitionsPerMoveMax = 1024,
  } = given
  const options = {
    directory: new DataDirectory(folder),
    shape: { shards, replicas: shards === undefined ? undefined : replicas },
    driver: world.driver(pass),
    links: world.links(pass),
    telemetry: silent,
    clock,
    rng: seededRng(1),
    pid: 1,
    // A minute of the machine, however busy it is.
    startTimeoutMs: 6_000_000,
    stopTimeoutMs: 1_000,
    lingerMs,
    partitionsPerMoveMax,
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
  const map = cluster.maps.current()
  const ids = Array.from({ length: shards }, (_, at) => at + 1)
  expect(map.shards.map(({ id }) => id)).toEqual(ids)
  map.owners.forEach((owner, partition) => {
    const row = world.shard(owner).partitions.rows[partition]
    expect([partition, row?.state, row?.whole]).toEqual([partition, PartitionState.OWNED, true])
  })
  expect([...world.running].map(({ data }) => data.spec.name).sort()).toEqual(
    ['meta/node-1', ...ids.map((id) => `shard-${id}/node-1`)].sort(),
  )
}
