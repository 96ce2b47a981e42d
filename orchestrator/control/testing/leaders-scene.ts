import { expect, vi } from 'vitest'
import { seededRng } from '../../core/rng.js'
import { silent, type Telemetry } from '../../telemetry/index.js'
import { State } from '../../wire/node-admin.js'
import { type Cluster, startCluster } from '../cluster.js'
import { DataDirectory } from '../data-directory.js'
import type { Driver } from '../drivers/driver.js'
import type { FakeWorld } from './fake-world.js'
import { never, type Pass } from './scale-scene.js'
import { ScaledClock } from './scaled-clock.js'

// A cluster of a fake world whose nodes are on several machines: every group has one on each, up to the number of replicas.

export interface SpreadOptions {
  readonly folder: string
  readonly world: FakeWorld
  readonly machines: readonly string[]
  readonly shards?: number
  readonly replicas?: number
  readonly pass?: Pass
  readonly clock?: ScaledClock
  readonly telemetry?: Telemetry
}

let starts = 0

/** When it resolves every node serves and has caught up. */
export async function startOn(given: SpreadOptions): Promise<Cluster> {
  const { folder, world, machines, shards, replicas, pass = async () => {} } = given
  const { clock = new ScaledClock(), telemetry = silent } = given
  const options = {
    directory: new DataDirectory(folder),
    shape: { shards, replicas },
    driver: on(machines, world.driver(pass)),
    links: world.links(pass),
    ...{ telemetry, clock, rng: seededRng(1_000 + starts++), pid: 1 },
    ...{ startTimeoutMs: 6_000_000, patienceMs: 200_000, stopTimeoutMs: 1_000, lingerMs: 100 },
  }
  const cluster = await startCluster(options, never)
  await vi.waitFor(async () => {
    const { groups } = await cluster.control.status()
    const states = groups.flatMap(({ nodes }) => nodes.map(({ status }) => status?.state))
    expect([...new Set(states)]).toEqual([State.SERVING])
  }, 10_000)
  catchUp(world)
  return cluster
}

/** Logs of this world grow by elections only: whoever came later than the last one could never be elected. */
function catchUp({ running }: FakeWorld): void {
  for (const one of running) {
    const group = [...running].filter(({ data }) => data.spec.shard === one.data.spec.shard)
    const [longest = 0n] = group.map(({ data }) => data.lastLogIndex).sort((a, b) => Number(b - a))
    one.data.lastLogIndex = longest
  }
}

/** All of them lie below one data directory. */
function on(machines: readonly string[], driver: Driver): Driver {
  return {
    ...driver,
    machines: async () => machines.map((name) => ({ name, zone: name })),
    directoryOf: (place, _, data) => data.node(place),
  }
}

/** Who leads each group, by its name; by its shard. */
export function leadersOf(world: FakeWorld, shards: number): (string | undefined)[] {
  return Array.from({ length: shards + 1 }, (_, shard) => world.shard(shard).leader?.data.spec.name)
}

/** How many groups are led on each machine. */
export function loadsOf(world: FakeWorld, shards: number, machines: readonly string[]): number[] {
  const led = Array.from({ length: shards + 1 }, (_, shard) => world.shard(shard).leader?.data.spec.machine)
  return machines.map((machine) => led.filter((one) => one === machine).length)
}

/** The group is led by its node on this machine from now on: an election. */
export async function leadOn(world: FakeWorld, shard: number, machine: string): Promise<void> {
  const node = [...world.running].find(({ data }) => data.spec.shard === shard && data.spec.machine === machine)
  if (node === undefined) throw new TypeError(`no node of shard ${shard} on ${machine}`)
  const { clusterId } = node.data.spec
  await world
    .links(async () => {})
    .node(node.address, { cluster: clusterId, shard })
    .campaign()
}
