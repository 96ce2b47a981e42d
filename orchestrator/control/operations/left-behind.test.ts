import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { OperationState, Steer } from '../../wire/control.js'
import type { Cluster } from '../cluster.js'
import { dieAt } from '../testing/die-at.js'
import { FakeMachines } from '../testing/fake-machines.js'
import { FakeWorld } from '../testing/fake-world.js'
import * as scene from '../testing/scale-scene.js'
import { ended, expectMembers, never, type StartOptions } from '../testing/scale-scene.js'

// Shards that come and go while a machine is away that has nodes of them.

const WAIT = { timeout: 20_000, interval: 20 }

let folder: string
let world: FakeWorld
let machines: FakeMachines

function scenery(...names: readonly string[]): void {
  world = new FakeWorld()
  machines = new FakeMachines(world, ...names)
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kvorum-left-'))
})
afterEach(() => {
  vi.restoreAllMocks()
  rmSync(folder, { recursive: true, force: true })
})

function start(options: Partial<StartOptions> = {}): Promise<Cluster> {
  return scene.start({ folder, world, machines, ...options })
}

async function whole(cluster: Cluster): Promise<void> {
  await vi.waitFor(() => expectMembers({ world, folder }, cluster, 3), WAIT)
}

async function scale(cluster: Cluster, shards: number): Promise<void> {
  await cluster.control.scale(shards, false)
  expect((await ended(cluster)).state).toBe(OperationState.DONE)
}

describe('a shard with a node on a machine that does not answer', () => {
  test('goes all the same, and the next one of its name takes no name that is in use there', async () => {
    scenery('m1', 'm2', 'm3', 'm4')
    const first = await start({ shards: 2, replicas: 3 })
    const machine = machines.machineOf('shard-2/node-3')
    machines.powerOff(machine)
    await scale(first, 1)
    expect(existsSync(join(folder, 'shard-2/node-3'))).toBe(true)
    await first.leave()
    // Whoever starts then knows of it too.
    const cluster = await start()
    await scale(cluster, 2)
    expect(readdirSync(join(folder, 'shard-2')).sort()).toEqual(['node-3', 'node-4', 'node-5', 'node-6'])
    await scale(cluster, 1)
    await scale(cluster, 2)
    machines.connect(machine)
    await whole(cluster)
    expect(existsSync(join(folder, 'shard-2/node-3'))).toBe(false)
    await cluster.stop(never.forced)
  })

  test('that goes is swept when the machine is back, also if nobody makes another one', async () => {
    scenery('m1', 'm2', 'm3', 'm4')
    const cluster = await start({ shards: 2, replicas: 3 })
    const machine = machines.machineOf('shard-2/node-3')
    // Its nodes run on.
    machines.cutOff(machine)
    await scale(cluster, 1)
    expect(machines.nodesOn(machine)).toContain('shard-2/node-3')
    machines.connect(machine)
    await whole(cluster)
    await vi.waitFor(() => expect(existsSync(join(folder, 'shard-2'))).toBe(false), WAIT)
    await cluster.stop(never.forced)
  })
})

describe('a shard that needs a machine that does not answer', () => {
  test('waits for it and says so, can be cancelled, and keeps nobody from starting', async () => {
    scenery('m1', 'm2', 'm3')
    const first = await start({ shards: 1, replicas: 3 })
    machines.cutOff('m2')
    const { id } = await first.control.scale(2, false)
    await vi.waitFor(async () => {
      const [operation] = await first.control.operations()
      expect(operation?.detail).toBe('tried again: 2 of 3 agents answer')
    }, WAIT)
    await first.leave()
    const cluster = await start()
    await cluster.control.steer(id, Steer.CANCEL)
    expect((await ended(cluster)).state).toBe(OperationState.CANCELLED)
    machines.connect('m2')
    await whole(cluster)
    await scale(cluster, 2)
    await whole(cluster)
    await cluster.stop(never.forced)
  })
})

test('an orchestrator that dies at any step of that is followed by one that finishes it', async () => {
  const met = new Set<string>()
  for (let at = 1; ; at++) {
    scenery('m1', 'm2', 'm3', 'm4')
    await start({ shards: 2, replicas: 3 }).then((one) => one.stop(never.forced))
    const machine = machines.machineOf('shard-2/node-3')
    const how = await dieAt(at, {
      start: (parts) => start(parts),
      act: async (cluster) => {
        machines.cutOff(machine)
        await scale(cluster, 1)
        await scale(cluster, 2)
      },
    })
    if (how === undefined) break
    met.add(how.split(' ')[0] ?? '')
    const cluster = await start()
    const before = await cluster.control.operations()
    if (before.length > 0) expect((await ended(cluster)).state, how).toBe(OperationState.DONE)
    for (const shards of before.length < 2 ? [1, 2] : [2]) {
      if (cluster.maps.current().shards.length !== shards) await scale(cluster, shards)
    }
    machines.connect(machine)
    await whole(cluster)
    await cluster.stop(never.forced)
    rmSync(folder, { recursive: true })
  }
  for (const step of ['setCluster', 'setNodes', 'forgetGroup', 'spawn']) expect([...met]).toContain(step)
}, 300_000)
