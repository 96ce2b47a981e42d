import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { type Operation, OperationState, StepState } from '../../wire/control.js'
import type { Cluster } from '../cluster.js'
import { DataDirectory } from '../data-directory.js'
import { Registry } from '../registry.js'
import { dieAt } from '../testing/die-at.js'
import { FakeMachines } from '../testing/fake-machines.js'
import { FakeWorld } from '../testing/fake-world.js'
import { pidsOf, watchEnds } from '../testing/rolling-scene.js'
import * as scene from '../testing/scale-scene.js'
import { ended, expectMembers, never, type Pass, type StartOptions } from '../testing/scale-scene.js'

// Machines that die for good while an operation is under way that needs them.

const WAIT = { timeout: 20_000, interval: 20 }
/** Of a clock on which a second takes a hundredth of one. */
const GONE_MS = 10_000

let folder: string
let world: FakeWorld
let machines: FakeMachines

function scenery(...names: readonly string[]): void {
  world = new FakeWorld()
  machines = new FakeMachines(world, ...names)
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kvorum-dies-'))
})
afterEach(() => {
  vi.restoreAllMocks()
  rmSync(folder, { recursive: true, force: true })
})

function start(options: Partial<StartOptions> = {}): Promise<Cluster> {
  return scene.start({ folder, world, machines, replaceMachineAfterMs: GONE_MS, ...options })
}

/** What the steps of a rolling restart came to, by the node's name. */
function stepsOf({ steps }: Operation, state: StepState): Map<string, string> {
  const some = steps.filter((step) => step.state === state)
  return new Map(some.map(({ what, detail }) => [what.replace('restart ', ''), detail]))
}

async function until(cluster: Cluster, holds: (operation: Operation | undefined) => boolean): Promise<void> {
  await vi.waitFor(async () => expect(holds((await cluster.control.operations())[0])).toBe(true), WAIT)
}

/** Waits until no group has a member on the machine any more, and nothing is under way. */
async function deserted(cluster: Cluster, machine: string): Promise<void> {
  await vi.waitFor(async () => {
    const { groups } = await cluster.control.status()
    const places = groups.flatMap(({ nodes }) => nodes.map(({ name }) => machines.machineOf(name)))
    expect(places).not.toContain(machine)
    for (const { state } of await cluster.control.operations()) expect(state).toBe(OperationState.DONE)
  }, WAIT)
}

async function whole(cluster: Cluster, replicas = 3): Promise<void> {
  await vi.waitFor(() => expectMembers({ world, folder }, cluster, replicas), WAIT)
}

/** The groups that have a node there, and those that have none. */
function groupsBy(machine: string): { readonly touched: string[]; readonly spared: string[] } {
  const all = [...world.data.keys()]
  const touched = [...new Set(machines.nodesOn(machine).map((name) => name.replace(/node.*/, '')))]
  const isTouched = (name: string) => touched.some((group) => name.startsWith(group))
  return { touched: all.filter(isTouched), spared: all.filter((name) => !isTouched(name)) }
}

describe('a rolling restart', () => {
  test('skips what a machine that is gone keeps it from, says so, and the replacer has its turn', async () => {
    scenery('m1', 'm2', 'm3', 'm4', 'm5')
    const cluster = await start({ shards: 3, replicas: 3 })
    const there = machines.nodesOn('m2')
    const { touched, spared } = groupsBy('m2')
    expect(there.length * spared.length).toBeGreaterThan(0)
    const before = pidsOf(world)
    machines.powerOff('m2')
    const watch = watchEnds(world, 3)
    await cluster.control.restart('')
    const operation = await ended(cluster)
    expect(operation.state).toBe(OperationState.DONE)
    const skipped = stepsOf(operation, StepState.SKIPPED)
    expect([...skipped.keys()].sort()).toEqual([...touched].sort())
    for (const [name, why] of skipped) {
      const words = 'machine m2 has not been heard for too long'
      if (there.includes(name)) expect(why).toBe(words)
      else expect(why).toMatch(new RegExp(`cannot do without it as long as \\S+ is away: ${words}$`))
    }
    expect([...stepsOf(operation, StepState.DONE).keys()].sort()).toEqual([...spared].sort())
    expect(operation.detail).toContain('not restarted, because of machines that are gone: ')
    for (const name of skipped.keys()) expect(operation.detail).toContain(name)
    expect(watch.faults).toEqual([])
    for (const name of spared) expect(world.process(name)?.pid, name).not.toBe(before.get(name))
    await deserted(cluster, 'm2')
    await cluster.control.restart('')
    expect(stepsOf(await ended(cluster), StepState.SKIPPED).size).toBe(0)
    machines.connect('m2')
    await whole(cluster)
    await cluster.stop(never.forced)
  })

  test('goes on in a group that can do without the node that is gone and one more', async () => {
    scenery('m1', 'm2', 'm3', 'm4', 'm5')
    const cluster = await start({ shards: 1, replicas: 5 })
    const there = machines.nodesOn('m2')
    machines.powerOff('m2')
    const watch = watchEnds(world, 4)
    await cluster.control.restart('')
    const operation = await ended(cluster)
    expect([...stepsOf(operation, StepState.SKIPPED).keys()].sort()).toEqual(there)
    expect(stepsOf(operation, StepState.DONE).size).toBe(8)
    expect(watch.faults).toEqual([])
    await cluster.stop(AbortSignal.abort())
  })

  test('raises no format that a node might not know', async () => {
    scenery('m1', 'm2', 'm3', 'm4', 'm5')
    const cluster = await start({ shards: 1, replicas: 5 })
    world.formatMax = 2
    machines.powerOff('m2')
    await cluster.control.restart('')
    expect((await ended(cluster)).state).toBe(OperationState.DONE)
    expect([0, 1].map((shard) => world.shard(shard).format)).toEqual([1, 1])
    await cluster.stop(AbortSignal.abort())
  })

  /** Its machine loses its power when its process has ended. Gives it, when that has happened. */
  function dyingWith(node: string): Promise<string> {
    return new Promise((resolve) => {
      world.ended = ({ data }) => {
        if (data.spec.name !== node) return
        world.ended = () => {}
        machines.powerOff(data.spec.machine ?? '')
        resolve(data.spec.machine ?? '')
      }
    })
  }

  test('skips a node whose machine dies while it is restarted, and does not take that for its fault', async () => {
    scenery('m1', 'm2', 'm3', 'm4', 'm5')
    const cluster = await start({ shards: 1, replicas: 5 })
    const died = dyingWith('shard-1/node-2')
    await cluster.control.restart('shard-1/node-2')
    const machine = await died
    const operation = await ended(cluster)
    expect(operation.state).toBe(OperationState.DONE)
    const words = `machine ${machine} has not been heard for too long`
    expect(stepsOf(operation, StepState.SKIPPED)).toEqual(new Map([['shard-1/node-2', words]]))
    await cluster.stop(AbortSignal.abort())
  })

  test('goes on with a node whose machine is back in time', async () => {
    scenery('m1', 'm2', 'm3', 'm4', 'm5')
    const cluster = await start({ shards: 1, replicas: 3, replaceMachineAfterMs: 0 })
    const died = dyingWith('shard-1/node-2')
    await cluster.control.restart('')
    const machine = await died
    const words = `waiting to reach shard-1/node-2: machine ${machine} does not answer`
    await until(cluster, (one) => one?.detail === words)
    machines.connect(machine)
    const operation = await ended(cluster)
    expect(operation.state).toBe(OperationState.DONE)
    expect(stepsOf(operation, StepState.DONE).size).toBe(6)
    await whole(cluster)
    await cluster.stop(never.forced)
  })
})

/** The machine of that node dies at the moment of its first call of this kind. The others elect a leader, if they can. */
function dyingAt(call: string, node: string): { readonly pass: Pass; machine: string } {
  const shard = Number(/^shard-(\d+)/.exec(node)?.[1])
  const scene: { readonly pass: Pass; machine: string } = {
    machine: '',
    pass: async (what) => {
      const [verb, address] = what.split(' ')
      const isOver = verb === 'setPeers' && scene.machine !== ''
      for (const one of [0, shard]) if (isOver && world.shard(one).leader === undefined) world.depose(one)
      const met = [...world.running].find((one) => one.address === address && one.data.spec.name === node)
      if (verb !== call || met === undefined || scene.machine !== '') return
      scene.machine = met.data.spec.machine ?? ''
      machines.powerOff(scene.machine)
    },
  }
  return scene
}

describe('a shard that is added', () => {
  test.each([
    ['has told who it is', 'watch'],
    ['is told who the members are', 'bootstrap'],
  ])('and loses a machine before its node there %s is begun anew on others', async (_, call) => {
    scenery('m1', 'm2', 'm3', 'm4', 'm5')
    const dying = dyingAt(call, 'shard-2/node-3')
    const cluster = await start({ shards: 1, replicas: 3, pass: dying.pass })
    await cluster.control.scale(2, false)
    expect((await ended(cluster)).state).toBe(OperationState.DONE)
    expect(dying.machine).not.toBe('')
    const names = cluster.maps.current().shards[1]?.nodes.map(({ address }) => address)
    const there = [...world.running].filter(({ address }) => names?.includes(address))
    expect(there).toHaveLength(3)
    for (const { data } of there) expect(data.spec.machine).not.toBe(dying.machine)
    await deserted(cluster, dying.machine)
    machines.connect(dying.machine)
    await whole(cluster)
    await cluster.stop(never.forced)
  })

  test('waits for a machine where there is none left, and says so', async () => {
    scenery('m1', 'm2', 'm3')
    const dying = dyingAt('watch', 'shard-2/node-3')
    const cluster = await start({ shards: 1, replicas: 3, pass: dying.pass })
    await cluster.control.scale(2, false)
    await until(cluster, (one) => one?.detail === 'tried again: 2 of 3 agents answer')
    machines.connect(dying.machine)
    expect((await ended(cluster)).state).toBe(OperationState.DONE)
    await whole(cluster)
    await cluster.stop(never.forced)
  })

  test('by an orchestrator that dies at any step of that is added by the next one', async () => {
    const met = new Set<string>()
    for (let at = 1; ; at++) {
      scenery('m1', 'm2', 'm3', 'm4', 'm5')
      const dying = dyingAt('watch', 'shard-2/node-3')
      const how = await dieAt(at, {
        start: ({ pass, clock }) =>
          start({
            shards: 1,
            replicas: 3,
            clock,
            pass: async (what) => {
              await dying.pass(what)
              await pass(what)
            },
          }),
        act: async (cluster) => {
          await cluster.control.scale(2, false)
          await ended(cluster)
        },
      })
      if (how === undefined) break
      met.add(how.split(' ')[0] ?? '')
      const cluster = await start()
      const [operation] = await cluster.control.operations()
      if (operation !== undefined) expect((await ended(cluster)).state, how).toBe(OperationState.DONE)
      if (dying.machine !== '') {
        await deserted(cluster, dying.machine)
        machines.connect(dying.machine)
      }
      await whole(cluster)
      expect(cluster.maps.current().shards, how).toHaveLength(operation === undefined ? 1 : 2)
      await cluster.stop(never.forced)
      rmSync(folder, { recursive: true })
    }
    for (const step of ['meta', 'setCluster', 'setNodes', 'spawn', 'remove', 'bootstrap'])
      expect([...met]).toContain(step)
  }, 300_000)
})

test('an orchestrator that dies at any step of a rolling restart beside a machine that is gone is followed by one that ends it', async () => {
  const met = new Set<string>()
  for (let at = 1; ; at++) {
    scenery('m1', 'm2', 'm3', 'm4')
    let watch = watchEnds(world, 3)
    let gone = ''
    const how = await dieAt(at, {
      start: (parts) => start({ shards: 1, replicas: 3, replaceMachineAfterMs: 5_000, ...parts }),
      act: async (cluster) => {
        gone = machines.all.map(({ name }) => name).find((name) => machines.nodesOn(name).length === 1) ?? ''
        machines.powerOff(gone)
        watch = watchEnds(world, 3)
        await cluster.control.restart('')
        await until(cluster, (one) => one?.kind === 'rolling' && one.state === OperationState.DONE)
      },
    })
    if (how === undefined) break
    met.add(how.split(' ')[0] ?? '')
    const cluster = await start({ replaceMachineAfterMs: 5_000 })
    await deserted(cluster, gone)
    const rolled = (await cluster.control.operations()).find(({ kind }) => kind === 'rolling')
    if (rolled !== undefined) expect(stepsOf(rolled, StepState.SKIPPED).size, how).toBe(3)
    expect(watch.faults, how).toEqual([])
    machines.connect(gone)
    await whole(cluster)
    await cluster.stop(never.forced)
    rmSync(folder, { recursive: true })
  }
  for (const step of ['meta', 'spawn', 'setNodes', 'transfer']) expect([...met]).toContain(step)
}, 300_000)

describe('a first start', () => {
  test('that loses a machine while its node there is told who the members are serves, and has another one elsewhere', async () => {
    scenery('m1', 'm2', 'm3', 'm4', 'm5')
    const dying = dyingAt('bootstrap', 'shard-1/node-3')
    const cluster = await start({ shards: 1, replicas: 3, pass: dying.pass, startTimeoutMs: 500_000 })
    expect(dying.machine).not.toBe('')
    await deserted(cluster, dying.machine)
    machines.connect(dying.machine)
    await whole(cluster)
    await cluster.stop(never.forced)
    // A member that waits from then on has lost its log.
    const registry = await Registry.open(new DataDirectory(folder), 1)
    expect((await registry.groups()).map(({ bootstrapped }) => bootstrapped)).toEqual([true, true])
    await registry.close()
  })

  test('that cannot go on without a machine says what a person can do', async () => {
    scenery('m1', 'm2', 'm3')
    const dying = dyingAt('watch', 'shard-1/node-3')
    const failure = await start({ shards: 1, replicas: 3, pass: dying.pass, startTimeoutMs: 20_000 }).catch(
      (error) => error,
    )
    expect(failure.message).toMatch(/^not ready after 20 s; still waiting for .*shard-1 \(2 of 3 nodes are up/)
    expect(failure.message).toContain(`machine ${dying.machine} does not answer`)
    expect(failure.message).toContain(
      `This is the first start, and nobody has been served: start the agent of ${dying.machine} again, or empty ${folder} and the --data of every agent, and start without it`,
    )
    machines.connect(dying.machine)
    const cluster = await start({ shards: 1, replicas: 3 })
    await whole(cluster)
    await cluster.stop(never.forced)
  })
})
