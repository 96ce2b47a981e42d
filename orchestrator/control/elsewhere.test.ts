import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { OperationState } from '../wire/control.js'
import { DataDirectory } from './data-directory.js'
import type { Orchestrator } from './orchestrator.js'
import { Registry } from './registry.js'
import { CLUSTER_ROW } from './registry-rows.js'
import { FakeAgents } from './testing/fake-agents.js'
import { FakeWorld } from './testing/fake-world.js'
import { ended, expectWhole } from './testing/scale-scene.js'
import { die, type Member, of, registriesOfFirst, Several, stop, until } from './testing/several-scene.js'

// Orchestrators with a data directory each, around nodes on machines with agents.

let folder: string
let world: FakeWorld
let agents: FakeAgents
let several: Several

const home = (name: string) => join(folder, name)

/** Slow enough for a handover, which takes as long as a registry takes to be opened. */
const HANDOVER_SPEED = 20

function fresh(speed = HANDOVER_SPEED): void {
  folder = mkdtempSync(join(tmpdir(), 'kvorum-elsewhere-'))
  world = new FakeWorld()
  agents = new FakeAgents(join(folder, 'machines'), world)
  several = new Several(home('first'), world, (pass) => agents.driver(pass), speed)
}

beforeEach(() => fresh())
afterEach(() => {
  vi.restoreAllMocks()
  rmSync(folder, { recursive: true, force: true })
})

interface Scene {
  readonly shards: number
  readonly replicas: number
  readonly act: (member: Member) => Promise<unknown>
  /** What must be true of the nodes when the operation has been done (or has never begun). */
  readonly done: (orchestrator: Orchestrator, isDone: boolean) => void
}

function expectReplicas(orchestrator: Orchestrator, replicas: number): void {
  for (const { id, nodes } of [{ id: 0, nodes: undefined }, ...orchestrator.maps.current().shards]) {
    const { members } = world.shard(id)
    expect(members.voters).toHaveLength(replicas)
    expect(members.all).toHaveLength(replicas)
    if (nodes !== undefined) expect(nodes.map((node) => node.id).sort()).toEqual([...members.voters].sort())
  }
}

const scale = (from: number, to: number): Scene => ({
  shards: from,
  replicas: 1,
  act: (member) => of(member).control.scale(to, false),
  done: (orchestrator, isDone) => expectWhole(world, orchestrator, isDone ? to : from),
})

const replicas = (from: number, to: number): Scene => ({
  shards: 1,
  replicas: from,
  act: (member) => of(member).control.replicas(to, false),
  done: (orchestrator, isDone) => expectReplicas(orchestrator, isDone ? to : from),
})

const restart: Scene = {
  shards: 1,
  replicas: 3,
  act: (member) => of(member).control.restart(''),
  done: (orchestrator) => expectReplicas(orchestrator, 3),
}

/** Nobody is in two places, nothing is left over, and everybody runs. */
function expectTidy(how: string): void {
  expect(agents.running, how).toEqual(agents.directories)
  expect(new Set([...world.running].map(({ data }) => data.spec.name)).size, how).toBe(world.running.size)
}

describe('two orchestrators with a data directory each', () => {
  test('the one that runs the nodes ends: the other one has them as they are, and the last one stops them', async () => {
    const first = await several.found(2, 1024, 3)
    const second = await several.join(first, 1024, home('second'))
    expect(of(second).role).toBe('standby')
    await until('the second one to stand by', async () => (await of(second).control.operations()) !== undefined)
    const processes = [...world.running]
    expect(await stop(first)).toEqual({ nodes: 'left', to: second.address })
    first.gone.abort()
    await until('the second one to run the nodes', () => of(second).role === 'holder')
    expect([...world.running]).toEqual(processes)
    expect(of(second).shape).toMatchObject({ shards: 2, replicas: 3 })
    await of(second).control.scale(1, false)
    expect((await ended(of(second))).state).toBe(OperationState.DONE)
    expectTidy('scaled')
    expect(await stop(second)).toEqual({ nodes: 'stopped' })
    expect(world.running.size).toBe(0)
  })

  test('an old registry is brought up to date before anything is done by it, or refused while others run the nodes', async () => {
    const registries = registriesOfFirst(several)
    const first = await several.found(2, 1024)
    const second = await several.join(first, 1024, home('second'))
    await die(first, registries)
    vi.restoreAllMocks()
    await until('the second one to run the nodes', () => of(second).role === 'holder')
    for (const shards of [1, 3]) {
      await of(second).control.scale(shards, false)
      expect((await ended(of(second))).state).toBe(OperationState.DONE)
    }
    await expect(several.again(home('first'))).rejects.toThrow(`--join ${second.address}`)
    expectTidy('refused')
    await die(second, [])
    const third = await several.again(home('first'))
    expect(of(third).role).toBe('holder')
    expectWhole(world, of(third), 3)
    expectTidy('up to date')
    expect(await stop(third)).toEqual({ nodes: 'stopped' })
  })

  test('one that was cut off leaves the nodes to the other one, and goes on standing by', async () => {
    const first = await several.found(2, 1024)
    const second = await several.join(first, 1024, home('second'))
    let goOn = (): void => {}
    const paused = new Promise<void>((resolve) => {
      goOn = resolve
    })
    first.pass = () => paused
    first.gone.abort()
    await until('the second one to run the nodes', () => of(second).role === 'holder')
    await of(second).control.scale(3, false)
    expect((await ended(of(second))).state).toBe(OperationState.DONE)
    first.gone = new AbortController()
    goOn()
    await until('the first one to stand by', () => of(first).role === 'standby')
    expectWhole(world, of(second), 3)
    expectTidy('left')
    await stop(first)
    expect(await stop(second)).toEqual({ nodes: 'stopped' })
  })

  test('a registry that was lost is restored from meta by joining', async () => {
    const registries = registriesOfFirst(several)
    const first = await several.found(2, 1024)
    const second = await several.join(first, 1024, home('second'))
    await die(first, registries)
    vi.restoreAllMocks()
    await until('the second one to run the nodes', () => of(second).role === 'holder')
    rmSync(join(home('first'), 'orchestrator'), { recursive: true })
    const third = await several.join(second, 1024, home('first'))
    await until('the third one to stand by', async () => (await of(third).control.operations()) !== undefined)
    expect(await stop(second)).toEqual({ nodes: 'left', to: third.address })
    second.gone.abort()
    await until('the third one to run the nodes', () => of(third).role === 'holder')
    expectWhole(world, of(third), 2)
    expectTidy('restored')
    expect(await stop(third)).toEqual({ nodes: 'stopped' })
  })

  test('nobody joins with the registry of another cluster, which stays what it is', async () => {
    const theirs = new DataDirectory(home('second'))
    theirs.make()
    const before = await Registry.open(theirs, 9)
    const cluster = { format: 1, clusterId: 'theirs', shards: 1, replicas: 1 } as const
    const nodes = [{ shard: 0, index: 1, address: 'a:1' }]
    await before.setCluster(cluster)
    await before.setNodes(nodes)
    await before.close()
    const first = await several.found(1, 1024)
    await expect(several.join(first, 1024, home('second'))).rejects.toThrow(
      / is of cluster theirs, not .*another --data$/,
    )
    const after = await Registry.open(theirs, 9)
    expect([await after.cluster(), await after.nodes()]).toEqual([cluster, nodes])
    await after.close()
    expect(await stop(first)).toEqual({ nodes: 'stopped' })
  })

  test('nobody takes over with a registry that became that of another cluster, which stays what it is', async () => {
    const theirs = new DataDirectory(home('second'))
    const registries = registriesOfFirst(several)
    const first = await several.found(1, 1024)
    const second = await several.join(first, 1024, home('second'))
    theirs.make()
    const cluster = { format: 1, clusterId: 'theirs', shards: 1, replicas: 1 } as const
    const before = await Registry.open(theirs, 9)
    await before.setCluster(cluster)
    await before.close()
    await die(first, registries)
    const tries = () => vi.mocked(Registry.open).mock.calls.filter(([, pid]) => pid === second.pid).length
    await until('a try after the first', () => of(second).role === 'holder' || tries() > 1)
    vi.restoreAllMocks()
    expect(of(second).role).toBe('standby')
    await stop(second)
    const after = await Registry.open(theirs, 9)
    expect(await after.cluster()).toEqual(cluster)
    await after.close()
    expect(await stop(await several.again(home('first')))).toEqual({ nodes: 'stopped' })
  })

  test('nobody takes over from one of whose nodes meta has no record', async () => {
    const registries = registriesOfFirst(several)
    const first = await several.found(1, 1024)
    const second = await several.join(first, 1024, home('second'))
    // As an earlier version leaves it.
    world.meta.delete(CLUSTER_ROW)
    await die(first, registries)
    vi.restoreAllMocks()
    const before = world.meta.writes
    await expect(of(second).control.scale(2, false)).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    expect(of(second).role).toBe('standby')
    expect(world.meta.writes).toBe(before)
    await stop(second)
    // Who has the registry writes it down anew.
    const third = await several.again(home('first'))
    await until('the record', () => world.meta.has(CLUSTER_ROW))
    expect(await stop(third)).toEqual({ nodes: 'stopped' })
  })
})

describe('a holder that dies at any step is followed by one with another data directory', () => {
  test.each<readonly [string, Scene, readonly string[]]>([
    ['from 1 to 2 shards', scale(1, 2), ['spawn', 'setNodes', 'setCluster', 'setGroup', 'setBases', 'meta', 'import']],
    ['from 2 to 1 shards', scale(2, 1), ['remove', 'forgetGroup', 'meta', 'import']],
    ['from 1 to 2 replicas', replicas(1, 2), ['spawn', 'addNonVoter', 'promote', 'setGroup', 'setBases', 'meta']],
    ['from 2 to 1 replicas', replicas(2, 1), ['removeMember', 'remove', 'forgetNode', 'meta']],
    ['in a rolling restart', restart, ['spawn', 'setNodes', 'meta']],
  ])(
    '%s',
    async (_, scene, steps) => {
      const met = await labelsOf(scene)
      for (const step of steps) expect([...met]).toContain(step)
      for (const label of met) {
        for (let at = 1; ; at++) {
          again()
          if (!(await diesAt(label, at, scene))) break
        }
      }
    },
    300_000,
  )

  function again(): void {
    rmSync(folder, { recursive: true, force: true })
    fresh(100)
  }

  /** What kinds of effects the operation has: by themselves they come in no certain order. What only looks is none. */
  async function labelsOf(scene: Scene): Promise<ReadonlySet<string>> {
    const labels = new Set<string>()
    again()
    registriesOfFirst(several)
    const first = await several.found(scene.shards, 1024, scene.replicas)
    first.pass = async (what) => {
      if (!/^(?:status|watch|find|meta get|lease)/.test(what)) labels.add(what.split(' ')[0] ?? '')
    }
    await scene.act(first)
    expect((await ended(of(first))).state).toBe(OperationState.DONE)
    await stop(first)
    vi.restoreAllMocks()
    return labels
  }

  /** Acts, and ends the holder for good just before its effect number `at` of this kind. False: there are no so many. */
  async function diesAt(label: string, at: number, scene: Scene): Promise<boolean> {
    const registries = registriesOfFirst(several)
    const first: Member = await several.found(scene.shards, 1024, scene.replicas)
    const second = await several.join(first, 1024, home('second'))
    let left = at
    const dead = new Promise<string>((resolve) => {
      first.pass = async (what) => {
        if (what.split(' ')[0] === label && what !== 'meta get') left--
        if (left > 0) return
        resolve(`${at}: ${what}`)
        await new Promise(() => {})
      }
    })
    // Asked of the one that stands by, and watched there from holder to holder.
    const asked = scene.act(second).then(() => ended(of(second)))
    asked.catch(() => {})
    const how = await Promise.race([dead, asked])
    if (typeof how !== 'string') {
      left = Number.POSITIVE_INFINITY
      await vi.waitFor(() => expectTidy('nobody died'))
      await stop(second)
      await stop(first)
      vi.restoreAllMocks()
      return false
    }
    await die(first, registries)
    vi.restoreAllMocks()
    await until(`a holder after ${how}`, () => of(second).role === 'holder')
    const [operation] = await of(second).control.operations()
    const state = operation === undefined ? undefined : (await ended(of(second))).state
    expect([undefined, OperationState.DONE], how).toContain(state)
    scene.done(of(second), state !== undefined)
    await vi.waitFor(() => expectTidy(how))
    expect(await stop(second), how).toEqual({ nodes: 'stopped' })
    return true
  }
})
