import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { UnavailableError } from '../../errors/index.js'
import { type Operation, OperationState, Steer, StepState } from '../../wire/control.js'
import type { Cluster } from '../cluster.js'
import { FakeWorld } from '../testing/fake-world.js'
import { expectAllRun, nameOf, pidsOf, programOf, running, watchEnds } from '../testing/rolling-scene.js'
import * as scene from '../testing/scale-scene.js'
import { ended, never, type StartOptions } from '../testing/scale-scene.js'

let folder: string
let world: FakeWorld

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kvorum-rolling-'))
  world = new FakeWorld()
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** Two shards and meta, of three nodes each. */
function start(options: Partial<StartOptions> = {}): Promise<Cluster> {
  return scene.start({ folder, world, shards: 2, replicas: 3, ...options })
}

const NODES = 9
const V2 = nameOf('2.0.0')

async function until(cluster: Cluster, holds: (operation: Operation | undefined) => boolean): Promise<Operation> {
  await vi.waitFor(async () => expect(holds((await cluster.control.operations())[0])).toBe(true), 10_000)
  return (await cluster.control.operations())[0] as Operation
}

const paused = (operation?: Operation) => operation?.state === OperationState.PAUSED

describe('a rolling restart', () => {
  test('ends every node once, one of a group at a time, meta first and leaders last', async () => {
    const cluster = await start()
    const before = pidsOf(world)
    const leaders = [0, 1, 2].map((shard) => world.shard(shard).leader?.data.spec.name)
    const watch = watchEnds(world, 3)
    expect(await cluster.control.restart('')).toMatchObject({
      what: 'restart every node, one after the other',
      kind: 'rolling',
    })
    const operation = await ended(cluster)
    expect(operation.state).toBe(OperationState.DONE)
    expect(operation.steps.map(({ state }) => state)).toEqual(Array(NODES).fill(StepState.DONE))
    expect(watch.faults).toEqual([])
    expect([...watch.ends].sort()).toEqual([...before.keys()].sort())
    expect([2, 5, 8].map((at) => watch.ends[at])).toEqual(leaders)
    expect(watch.ends.slice(0, 3).every((name) => name.startsWith('meta/'))).toBe(true)
    for (const [name, pid] of pidsOf(world)) expect(pid, name).not.toBe(before.get(name))
    for (const shard of [0, 1, 2])
      expect(world.shard(shard).calls.filter((call) => /^transfer/.test(call))).toHaveLength(1)
    await cluster.stop(never.forced)
  })

  test('of one node ends that alone; of one that there is not it is refused', async () => {
    const cluster = await start()
    const watch = watchEnds(world, 3)
    const { what } = await cluster.control.restart('shard-1/node-2')
    expect(what).toBe('restart shard-1/node-2')
    expect((await ended(cluster)).state).toBe(OperationState.DONE)
    expect(watch.ends).toEqual(['shard-1/node-2'])
    await expect(cluster.control.restart('shard-9/node-2')).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('there is no node "shard-9/node-2"'),
    })
    await expect(cluster.control.restart('node-2')).rejects.toThrow('like shard-1/node-2')
    await cluster.stop(never.forced)
  })

  test('starts a held node again', async () => {
    const cluster = await start()
    world.ends.set('shard-1/node-2', { code: 65 })
    world.kill('shard-1/node-2')
    await vi.waitFor(async () => {
      const node = (await cluster.control.status()).groups[1]?.nodes[1]
      expect(node?.reason).toContain('its data is damaged')
    })
    world.ends.clear()
    await cluster.control.restart('shard-1/node-2')
    expect((await ended(cluster)).state).toBe(OperationState.DONE)
    expectAllRun(world, NODES, undefined)
    await cluster.stop(never.forced)
  })

  test.each(['lagging', 'seeding'] as const)('waits while another member is %s, and can be cancelled', async (how) => {
    const cluster = await start()
    world[how].add('shard-1/node-3')
    world.kick()
    const watch = watchEnds(world, 3)
    await cluster.control.restart('shard-1/node-2')
    const { id } = await until(cluster, (one) => /waiting .* for shard-1\/node-3/.test(one?.detail ?? ''))
    expect(watch.ends).toEqual([])
    await cluster.control.steer(id, Steer.CANCEL)
    expect((await ended(cluster)).state).toBe(OperationState.CANCELLED)
    expect(watch.ends).toEqual([])
    await cluster.control.restart('shard-1/node-2')
    world[how].clear()
    world.kick()
    expect((await ended(cluster)).state).toBe(OperationState.DONE)
    await cluster.stop(never.forced)
  })

  test('of a node that does not come up pauses with the reason, and tries again when it is resumed', async () => {
    const cluster = await start()
    world.ends.set('shard-1/node-1', { code: 74 })
    const { id } = await cluster.control.restart('')
    const { detail } = await until(cluster, paused)
    expect(detail).toMatch(/^shard-1\/node-1 did not come up: exit code 74/)
    expect(world.running.size).toBe(NODES - 1)
    const left = running(world)
    await cluster.stop(never.forced)
    const again = await scene.start({ folder, world, shards: 2, replicas: 3 })
    expect((await again.control.operations())[0]).toMatchObject({ detail, state: OperationState.PAUSED })
    expect(running(world)).toEqual(left)
    world.ends.clear()
    await again.control.steer(id, Steer.RESUME)
    expect((await ended(again)).state).toBe(OperationState.DONE)
    expectAllRun(world, NODES, undefined)
    await again.stop(never.forced)
  })

  test('of groups of one node, which are away meanwhile, ends as well', async () => {
    const cluster = await start({ replicas: 1 })
    await cluster.control.restart('')
    expect((await ended(cluster)).state).toBe(OperationState.DONE)
    expectAllRun(world, 3, undefined)
    await cluster.stop(never.forced)
  })
})

describe('an upgrade', () => {
  test('leaves every node with a copy of the program, which later starts and new nodes use', async () => {
    const cluster = await start()
    const watch = watchEnds(world, 3)
    const path = programOf(folder, '2.0.0')
    expect((await cluster.control.upgrade(path)).what).toBe(`upgrade to ${V2}`)
    expect((await ended(cluster)).state).toBe(OperationState.DONE)
    expect(watch.faults).toEqual([])
    expectAllRun(world, NODES, V2)
    rmSync(path)
    await cluster.control.scale(3, false)
    await ended(cluster)
    expectAllRun(world, NODES + 3, V2)
    await cluster.stop(never.forced)
    const again = await scene.start({ folder, world })
    expectAllRun(world, NODES + 3, V2)
    await again.stop(never.forced)
    expect(readdirSync(join(folder, 'bin'))).toEqual([V2])
  })

  test('to what every node runs already is done, and nothing happens', async () => {
    const cluster = await start()
    await cluster.control.upgrade(programOf(folder, '2.0.0'))
    await ended(cluster)
    const before = pidsOf(world)
    const again = await cluster.control.upgrade(programOf(folder, '2.0.0'))
    expect(again).toMatchObject({ id: '', state: OperationState.DONE })
    expect(pidsOf(world)).toEqual(before)
    await cluster.stop(never.forced)
  })

  test('with which a node does not come up: it goes back by itself, and no other is touched', async () => {
    const cluster = await start()
    world.broken.set(V2, { code: 64 })
    const { id } = await cluster.control.upgrade(programOf(folder, '2.0.0'))
    const { detail, steps } = await until(cluster, paused)
    expect(detail).toContain(`did not come up with ${V2}: exit code 64`)
    expect(detail).toContain('it runs with the program of before again')
    expect(steps.every(({ state }) => state === StepState.WAITING)).toBe(true)
    expectAllRun(world, NODES, undefined)
    world.broken.clear()
    await cluster.control.steer(id, Steer.RESUME)
    expect((await ended(cluster)).state).toBe(OperationState.DONE)
    expectAllRun(world, NODES, V2)
    await cluster.stop(never.forced)
  })

  test('with which a node does not come up goes back also when another node of its group died meanwhile', async () => {
    const cluster = await start()
    const fails = ['meta/node-1', 'meta/node-2', 'meta/node-3']
    world.broken.set(V2, { code: 64 })
    world.ended = ({ data }) => {
      // The first that is restarted; another one dies at that moment, for good.
      world.ended = () => {}
      const other =
        fails.find((name) => name !== data.spec.name && name !== world.shard(0).leader?.data.spec.name) ?? ''
      world.ends.set(other, { code: 65 })
      world.kill(other)
    }
    await cluster.control.upgrade(programOf(folder, '2.0.0'))
    const operation = await until(cluster, paused)
    expect(operation.detail).toContain(`did not come up with ${V2}: exit code 64`)
    expect(operation.detail).toContain('it runs with the program of before again')
    expect(world.running.size).toBe(NODES - 1)
    await cluster.stop(never.forced)
  })

  test('whose copy is gone by the time that a node is started: it goes back, and says so', async () => {
    const cluster = await start()
    world.unstartable.add(V2)
    await cluster.control.upgrade(programOf(folder, '2.0.0'))
    const { detail } = await until(cluster, paused)
    expect(detail).toContain(`did not come up with ${V2}: cannot start it`)
    expectAllRun(world, NODES, undefined)
    await cluster.stop(never.forced)
  })

  test('that is cancelled half-way leads back to what each node had before', async () => {
    const cluster = await start()
    await cluster.control.upgrade(programOf(folder, '2.0.0'))
    await ended(cluster)
    const { id } = await cluster.control.upgrade(programOf(folder, '3.0.0'))
    for await (const { steps } of cluster.control.watch(id, never.asked)) {
      if (steps.filter(({ state }) => state === StepState.DONE).length >= 4) break
    }
    const watch = watchEnds(world, 3)
    await cluster.control.steer(id, Steer.CANCEL)
    expect((await ended(cluster)).state).toBe(OperationState.CANCELLED)
    expect(watch.faults).toEqual([])
    expectAllRun(world, NODES, V2)
    expect(readdirSync(join(folder, 'bin'))).toEqual([V2])
    await cluster.control.scale(3, false)
    await ended(cluster)
    expectAllRun(world, NODES + 3, V2)
    await cluster.stop(never.forced)
  })

  test('pauses behind the node under way, and two programs run beside each other', async () => {
    const cluster = await start()
    const { id } = await cluster.control.upgrade(programOf(folder, '2.0.0'))
    for await (const { steps } of cluster.control.watch(id, never.asked)) {
      if (steps.some(({ state }) => state === StepState.DONE)) break
    }
    await cluster.control.steer(id, Steer.PAUSE)
    const { steps } = await until(
      cluster,
      (one) => one?.steps.every(({ state }) => state !== StepState.RUNNING) === true,
    )
    const done = steps.filter(({ state }) => state === StepState.DONE).length
    expect([...running(world).values()].filter((program) => program === V2)).toHaveLength(done)
    // Who dies now comes back as what it was.
    const old = [...running(world)].find(([, program]) => program === undefined)?.[0] ?? ''
    const pid = pidsOf(world).get(old)
    world.kill(old)
    await vi.waitFor(() => expect(world.process(old)?.pid ?? pid).not.toBe(pid))
    expect(world.process(old)?.program).toBeUndefined()
    await cluster.control.steer(id, Steer.RESUME)
    expect((await ended(cluster)).state).toBe(OperationState.DONE)
    await cluster.stop(never.forced)
  })

  test('raises every shard to the format that all nodes know, in its end and for good', async () => {
    const cluster = await start()
    world.formatMax = 2
    const { id } = await cluster.control.upgrade(programOf(folder, '2.0.0'))
    for await (const { steps } of cluster.control.watch(id, never.asked)) {
      const all = steps.every(({ state }) => state === StepState.DONE)
      if (!all) expect([0, 1, 2].map((shard) => world.shard(shard).format)).toEqual([1, 1, 1])
    }
    expect([0, 1, 2].map((shard) => world.shard(shard).format)).toEqual([2, 2, 2])
    world.formatMax = 1
    await expect(cluster.control.upgrade(programOf(folder, '1.0.0'))).rejects.toThrow(
      'knows command formats up to 1, and 2 is in use',
    )
    await cluster.stop(never.forced)
  })

  test('that has begun to raise the format cannot be cancelled', async () => {
    let full = false
    const pass = async (what: string) => {
      if (full && what.startsWith('raise')) throw new UnavailableError('not now', { outcome: 'not-applied' })
    }
    const cluster = await start({ pass })
    world.formatMax = 2
    full = true
    const { id } = await cluster.control.upgrade(programOf(folder, '2.0.0'))
    await until(cluster, (one) => /raising/.test(one?.detail ?? ''))
    await expect(cluster.control.steer(id, Steer.CANCEL)).rejects.toThrow('has begun to raise shards')
    full = false
    expect((await ended(cluster)).state).toBe(OperationState.DONE)
    await cluster.stop(never.forced)
  })

  test('that cannot be is refused in words, and nothing is left of it', async () => {
    const cluster = await start()
    await expect(cluster.control.upgrade('bin/kvnode')).rejects.toMatchObject({
      code: 'PRECONDITION_FAILED',
      message: expect.stringContaining('absolute path'),
    })
    await expect(cluster.control.upgrade(join(folder, 'absent'))).rejects.toThrow('there is no program')
    await expect(cluster.control.upgrade(folder)).rejects.toThrow('there is no program')
    expect(await cluster.control.operations()).toEqual([])
    expect(existsSync(join(folder, 'bin'))).toBe(false)
    await cluster.stop(never.forced)
  })
})
