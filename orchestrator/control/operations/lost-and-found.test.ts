import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { sleep } from '../../core/clock.js'
import type { Telemetry } from '../../telemetry/index.js'
import { Condition, OperationState } from '../../wire/control.js'
import type { Cluster } from '../cluster.js'
import { FakeMachines } from '../testing/fake-machines.js'
import { FakeWorld } from '../testing/fake-world.js'
import { ended, never, start } from '../testing/scale-scene.js'
import { ScaledClock } from '../testing/scaled-clock.js'

// Nodes whose data is gone, and is there again later: a disk that is mounted late.

const NAME = 'shard-1/node-2'
const WAIT = { timeout: 20_000, interval: 20 }

let folder: string
let world: FakeWorld
let machines: FakeMachines
/** Done when the node is held, before anybody else knows of it. */
let whenHeld: () => void
let restarts: number
const telemetry: Telemetry = {
  emit: (name) => {
    if (name === 'node.held') whenHeld()
    if (name === 'node.restarting') restarts++
  },
  enabled: () => true,
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kvorum-found-'))
  world = new FakeWorld()
  machines = new FakeMachines(world, 'm1', 'm2', 'm3')
  whenHeld = () => {}
  restarts = 0
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

function open(replaceAfterMs: number): Promise<Cluster> {
  return start({ folder, world, machines, telemetry, shards: 1, replicas: 3, replaceAfterMs })
}

async function condition(cluster: Cluster): Promise<Condition | undefined> {
  const { groups } = await cluster.control.status()
  return groups.flatMap(({ nodes }) => nodes).find(({ name }) => name === NAME)?.condition
}

async function becomes(cluster: Cluster, wanted: Condition): Promise<void> {
  await vi.waitFor(async () => expect(await condition(cluster)).toBe(wanted), WAIT)
}

function unmount(): void {
  machines.unmounted.add(NAME)
  world.kill(NAME)
}

/** The node's Raft log is gone. Gives how to put it back. */
function loseLog(): () => void {
  const data = world.data.get(NAME)
  const members = data?.members
  if (data !== undefined) data.members = undefined
  world.kill(NAME)
  return () => {
    if (data !== undefined) data.members = members
  }
}

test('a node whose directory is there again is started, without a start of the orchestrator', async () => {
  const cluster = await open(0)
  const id = world.data.get(NAME)?.id
  unmount()
  await becomes(cluster, Condition.HELD)
  machines.unmounted.clear()
  await becomes(cluster, Condition.UP)
  expect([world.data.get(NAME)?.id, restarts]).toEqual([id, 1])
  await cluster.stop(never.forced)
})

test('it is looked for again before the node is replaced', async () => {
  const cluster = await open(1)
  whenHeld = () => machines.unmounted.clear()
  unmount()
  await vi.waitFor(() => expect(restarts).toBe(1), WAIT)
  await becomes(cluster, Condition.UP)
  expect(await cluster.control.operations()).toEqual([])
  await cluster.stop(never.forced)
})

test('a node that has lost its log is started once more, and is a member again if the log is back', async () => {
  const cluster = await open(1)
  const putBack = loseLog()
  whenHeld = putBack
  await vi.waitFor(() => expect(restarts).toBe(1), WAIT)
  await becomes(cluster, Condition.UP)
  expect(await cluster.control.operations()).toEqual([])
  await cluster.stop(never.forced)
})

test('and is replaced if it is not', async () => {
  const cluster = await open(1_000)
  loseLog()
  await vi.waitFor(async () => expect(await cluster.control.operations()).toHaveLength(1), WAIT)
  expect((await ended(cluster)).state).toBe(OperationState.DONE)
  expect(restarts).toBe(1)
  await cluster.stop(never.forced)
})

test('a node on a machine that does not answer is not replaced as one whose data is gone', async () => {
  const cluster = await open(1_000)
  unmount()
  whenHeld = () => machines.cutOff(machines.machineOf(NAME))
  await becomes(cluster, Condition.HELD)
  machines.unmounted.clear()
  // Ten times as long as it takes to replace it.
  await sleep(new ScaledClock(), 10_000, never.asked)
  expect(await cluster.control.operations()).toEqual([])
  machines.connect(machines.machineOf(NAME))
  await becomes(cluster, Condition.UP)
  await cluster.stop(never.forced)
})
