import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { sleep } from '../../core/clock.js'
import { silent, type Telemetry } from '../../telemetry/index.js'
import type { NodeReport } from '../../wire/control.js'
import type { Cluster } from '../cluster.js'
import { dieAt } from '../testing/die-at.js'
import { FakeWorld } from '../testing/fake-world.js'
import { leadersOf, leadOn, loadsOf, type SpreadOptions, startOn } from '../testing/leaders-scene.js'
import { ended, never } from '../testing/scale-scene.js'
import { ScaledClock } from '../testing/scaled-clock.js'

const MACHINES = ['m1', 'm2', 'm3']
const SHARDS = 5
const GROUPS = Array.from({ length: SHARDS + 1 }, (_, shard) => shard)
/** For what takes seconds of the scaled clock. */
const PATIENT = 10_000

let folder: string
let world: FakeWorld
let clusters: Cluster[]

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kvorum-leaders-'))
  world = new FakeWorld()
  clusters = []
})
afterEach(async () => {
  vi.restoreAllMocks()
  for (const cluster of clusters) await cluster.stop(never.forced)
  rmSync(folder, { recursive: true, force: true })
})

async function start(options: Partial<SpreadOptions> = {}): Promise<Cluster> {
  const cluster = await startOn({ folder, world, machines: MACHINES, ...options })
  clusters.push(cluster)
  return cluster
}

async function stop(cluster: Cluster): Promise<void> {
  clusters = clusters.filter((one) => one !== cluster)
  await cluster.stop(never.forced)
}

const fresh = { shards: SHARDS, replicas: 3 }
const order = { node: '', machine: '', undo: false, dryRun: false }

function transfers(): string[] {
  return GROUPS.flatMap((shard) => world.shard(shard).calls.filter((call) => call.startsWith('transfer')))
}

/** By the clock of the cluster: what would happen has had its time. */
function passes(ms: number): Promise<void> {
  return sleep(new ScaledClock(), ms)
}

async function allLeadOn(machine: string): Promise<void> {
  for (const shard of GROUPS) await leadOn(world, shard, machine)
}

/** Nobody on the machine leads. */
async function isLeft(machine: string): Promise<void> {
  await vi.waitFor(() => expect(loadsOf(world, SHARDS, [machine])).toEqual([0]), PATIENT)
}

async function isEven(loads = [2, 2, 2]): Promise<void> {
  await vi.waitFor(() => expect(loadsOf(world, SHARDS, MACHINES)).toEqual(loads), PATIENT)
}

async function reports(cluster: Cluster): Promise<NodeReport[]> {
  return (await cluster.control.status()).groups.flatMap(({ nodes }) => nodes)
}

async function drainedIn(cluster: Cluster): Promise<string[]> {
  return (await reports(cluster)).filter(({ drained }) => drained).map(({ name }) => name)
}

/** What is told, as names of events. */
function listening(): { readonly told: string[]; readonly telemetry: Telemetry } {
  const told: string[] = []
  return { told, telemetry: { ...silent, emit: (name) => void told.push(name) } }
}

describe('leaders', () => {
  test('are spread over machines, each moved once and no more of them than necessary', async () => {
    await start(fresh)
    await allLeadOn('m2')
    const before = transfers().length
    await isEven()
    expect(transfers().length - before).toBe(4)
    await passes(120_000)
    expect(transfers().length - before).toBe(4)
  })

  test('go from a machine that has two more than another, one of them, and no more', async () => {
    await start(fresh)
    await isEven()
    const before = transfers().length
    await leadOn(world, 1, 'm1')
    await leadOn(world, 2, 'm2')
    await leadOn(world, 3, 'm3')
    await leadOn(world, 4, 'm1')
    await leadOn(world, 5, 'm2')
    await leadOn(world, 0, 'm1')
    expect(loadsOf(world, SHARDS, MACHINES)).toEqual([3, 2, 1])
    await isEven()
    await passes(120_000)
    expect(transfers().length - before).toBe(1)
  })

  test('stay where they are when all nodes are of one machine', async () => {
    await start({ ...fresh, machines: ['m1'] })
    const before = transfers().length
    await passes(60_000)
    expect(transfers().length).toBe(before)
  })

  test.each(['lagging', 'behind'] as const)('are not handed to a node that is %s', async (how) => {
    const { told, telemetry } = listening()
    await start({ ...fresh, telemetry })
    for (const { data } of world.running) if (data.spec.machine !== 'm1') world[how].add(data.spec.name)
    await allLeadOn('m1')
    const before = transfers().length
    await vi.waitFor(
      () => expect(told.filter((name) => name === 'leader.stays').length).toBeGreaterThan(SHARDS),
      PATIENT,
    )
    expect(transfers().length).toBe(before)
  })

  test('are moved off a machine whose disk is slow, and come back when it is well', async () => {
    const { told, telemetry } = listening()
    const cluster = await start({ ...fresh, telemetry })
    await isEven()
    const slow = [...world.running].filter(({ data }) => data.spec.machine === 'm1').map(({ data }) => data.spec.name)
    for (const name of slow) world.appendUs.set(name, 80_000)
    world.kick()
    await isEven([0, 3, 3])
    expect(told.filter((name) => name === 'machine.slow')).toHaveLength(1)
    expect((await reports(cluster)).filter((one) => one.slow).map(({ name }) => name)).toEqual(slow.sort(byShard))
    world.appendUs.clear()
    world.kick()
    await isEven()
    expect(told.filter((name) => name === 'machine.well')).toHaveLength(1)
  })
})

function byShard(a: string, b: string): number {
  const shardOf = (name: string) => (name.startsWith('meta') ? 0 : Number(/\d+/.exec(name)?.[0]))
  return shardOf(a) - shardOf(b)
}

describe('a drained machine', () => {
  test('leads nothing from then on, whatever elections do and whoever runs the cluster, until it is undone', async () => {
    const cluster = await start(fresh)
    await isEven()
    const { nodes, moves } = await cluster.control.drain({ ...order, machine: 'm2' })
    expect(nodes).toHaveLength(SHARDS + 1)
    expect(moves).toHaveLength(2)
    await isEven([3, 0, 3])
    expect(await drainedIn(cluster)).toEqual(nodes)
    // Raft may elect one of them all the same.
    await leadOn(world, 4, 'm2')
    await isLeft('m2')
    await stop(cluster)
    const next = await start()
    expect(await drainedIn(next)).toEqual(nodes)
    await allLeadOn('m2')
    await isLeft('m2')
    expect((await next.control.drain({ ...order, machine: 'm2' })).moves).toEqual([])
    await next.control.drain({ ...order, machine: 'm2', undo: true })
    expect(await drainedIn(next)).toEqual([])
    await isEven()
  })

  test('gets no new nodes', async () => {
    const cluster = await start({ ...fresh, shards: 1, replicas: 2 })
    await cluster.control.drain({ ...order, machine: 'm3' })
    await cluster.control.scale(SHARDS, false)
    await ended(cluster)
    const added = [...world.running].filter(({ data }) => data.spec.shard > 1).map(({ data }) => data.spec.machine)
    expect([...new Set(added)].sort()).toEqual(['m1', 'm2'])
  })

  test('of which nothing is known, and the last one that is left, are refused', async () => {
    const cluster = await start(fresh)
    await expect(cluster.control.drain({ ...order, machine: 'm9' })).rejects.toThrow('but on m1, m2, m3')
    await cluster.control.drain({ ...order, machine: 'm1' })
    await cluster.control.drain({ ...order, machine: 'm2' })
    await expect(cluster.control.drain({ ...order, machine: 'm3' })).rejects.toThrow(
      'meta would have nobody left who may lead it',
    )
    expect(await drainedIn(cluster)).toHaveLength(2 * (SHARDS + 1))
    await isEven([0, 0, 6])
  })
})

describe('a drained node', () => {
  test('is named as status shows it, or by its id; nothing else of its machine is concerned', async () => {
    const cluster = await start(fresh)
    await isEven()
    const [first] = leadersOf(world, SHARDS).slice(1)
    const id = world.data.get(first ?? '')?.id ?? ''
    const plan = await cluster.control.drain({ ...order, node: id, dryRun: true })
    expect(plan).toMatchObject({ nodes: [first], moves: [{ shard: 1, from: first }] })
    expect(await drainedIn(cluster)).toEqual([])
    expect(leadersOf(world, SHARDS)[1]).toBe(first)
    await cluster.control.drain({ ...order, node: id })
    await vi.waitFor(() => expect(leadersOf(world, SHARDS)[1]).toBe(plan.moves[0]?.to), PATIENT)
    expect(await drainedIn(cluster)).toEqual([first])
    const undone = await cluster.control.drain({ ...order, node: first ?? '', undo: true })
    expect(undone.nodes).toEqual([first])
    expect(await drainedIn(cluster)).toEqual([])
  })

  test('of one machine hands over as well, and spreading leaves the others alone', async () => {
    const cluster = await start({ ...fresh, machines: ['localhost'] })
    const before = leadersOf(world, SHARDS)
    await cluster.control.drain({ ...order, node: before[2] ?? '' })
    await vi.waitFor(() => expect(leadersOf(world, SHARDS)[2]).not.toBe(before[2]), PATIENT)
    expect(leadersOf(world, SHARDS).filter((name, shard) => name !== before[shard])).toHaveLength(1)
  })

  test('that is not there, none or two, and one whose group has no other, are refused', async () => {
    const cluster = await start({ ...fresh, replicas: 1 })
    const drain = (some: Partial<typeof order>) => cluster.control.drain({ ...order, ...some })
    await expect(drain({ node: 'shard-9/node-1' })).rejects.toThrow('there is no node')
    await expect(drain({})).rejects.toThrow('one of them is to be named')
    await expect(drain({ node: 'shard-1/node-1', machine: 'm1' })).rejects.toThrow('one of them is to be named')
    await expect(drain({ node: 'shard-1/node-1' })).rejects.toThrow('shard-1 would have nobody left')
  })

  test('that nobody can replace says so, and goes when somebody can', async () => {
    const cluster = await start({ ...fresh, replicas: 2, machines: ['m1', 'm2'] })
    const leader = leadersOf(world, SHARDS)[1] ?? ''
    const other = leader.endsWith('1') ? 'shard-1/node-2' : 'shard-1/node-1'
    world.lagging.add(other)
    const ask = () => cluster.control.drain({ ...order, node: leader })
    await ask()
    await vi.waitFor(
      async () => expect((await ask()).moves).toMatchObject([{ to: '', detail: `${other} has not caught up` }]),
      PATIENT,
    )
    world.lagging.clear()
    await vi.waitFor(async () => expect((await ask()).moves).toEqual([]), PATIENT)
    expect(leadersOf(world, SHARDS)[1]).toBe(other)
  })

  test('is restarted like the others, and nothing is handed to it', async () => {
    const cluster = await start({ ...fresh, shards: 1, machines: ['localhost'] })
    const leader = world.shard(1).leader?.data.spec.name ?? ''
    await cluster.control.drain({ ...order, node: leader })
    await vi.waitFor(() => expect(world.shard(1).leader?.data.spec.name).not.toBe(leader), PATIENT)
    const led: (string | undefined)[] = []
    world.ended = () => led.push(world.shard(1).leader?.data.spec.name)
    const pid = world.process(leader)?.pid
    await cluster.control.restart('')
    await ended(cluster)
    expect(world.process(leader)?.pid).not.toBe(pid)
    expect(led).not.toContain(leader)
  })
})

test('an orchestrator that dies at any step of a drain is followed by one that finishes it, or knows nothing of it', async () => {
  const met = new Set<string>()
  for (let at = 1; ; at++) {
    world = new FakeWorld()
    const how = await dieAt(at, {
      start: (parts) => startOn({ folder, world, machines: MACHINES, shards: 1, replicas: 3, ...parts }),
      act: async (cluster) => {
        await leadOn(world, 1, 'm2')
        await cluster.control.drain({ ...order, machine: 'm2' })
        await vi.waitFor(() => expect(loadsOf(world, 1, ['m2'])).toEqual([0]), { timeout: PATIENT, interval: 5 })
      },
    })
    if (how === undefined) break
    met.add(how.split(' ')[0] ?? '')
    const wasWritten = how !== 'setDrained'
    const cluster = await startOn({ folder, world, machines: MACHINES })
    expect(await drainedIn(cluster), how).toEqual(
      wasWritten ? ['meta/node-1', 'shard-1/node-1'].map(() => expect.any(String)) : [],
    )
    if (wasWritten) await vi.waitFor(() => expect(loadsOf(world, 1, ['m2'])).toEqual([0]), PATIENT)
    await cluster.stop(never.forced)
    rmSync(folder, { recursive: true })
  }
  for (const step of ['setDrained', 'transfer']) expect([...met]).toContain(step)
}, 120_000)
