import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { Condition, type Operation, OperationState, Steer, StepState } from '../../wire/control.js'
import type { Cluster } from '../cluster.js'
import { dieAt } from '../testing/die-at.js'
import { FakeWorld } from '../testing/fake-world.js'
import * as scene from '../testing/scale-scene.js'
import { ended, expectMembers, never, type StartOptions } from '../testing/scale-scene.js'

let folder: string
let world: FakeWorld

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kvorum-replace-'))
  world = new FakeWorld()
})
afterEach(() => {
  vi.restoreAllMocks()
  rmSync(folder, { recursive: true, force: true })
})

function start(options: Partial<StartOptions> = {}): Promise<Cluster> {
  return scene.start({ folder, world, ...options })
}

function whole(cluster: Cluster, replicas: number): Promise<void> {
  return expectMembers({ world, folder }, cluster, replicas)
}

async function until(cluster: Cluster, holds: (operation: Operation | undefined) => boolean): Promise<void> {
  await vi.waitFor(async () => expect(holds((await cluster.control.operations())[0])).toBe(true), 10_000)
}

async function nodesOf(cluster: Cluster, shard: number) {
  const { groups } = await cluster.control.status()
  return groups.find((group) => group.shard === shard)?.nodes ?? []
}

/** The node's disk is gone, and it is held for that. */
async function lose(cluster: Cluster, name: string): Promise<void> {
  world.data.delete(name)
  rmSync(join(folder, name), { recursive: true })
  world.kill(name)
  const shard = name.startsWith('meta') ? 0 : Number(/\d+/.exec(name)?.[0])
  await vi.waitFor(async () => {
    const node = (await nodesOf(cluster, shard)).find((one) => one.name === name)
    expect(node?.condition).toBe(Condition.HELD)
  }, 10_000)
}

/** The configurations of a shard since `from`, by index. */
function history(shard: number, from = 0): string[] {
  return world
    .shard(shard)
    .members.history.slice(from)
    .map((one) => one.replaceAll(/id-[a-z0-9-]+\/node-(\d)-\d+/g, '$1'))
}

describe('a node that is replaced', () => {
  test.each([0, 1])('because its disk is gone, in shard %i, goes before the new one votes', async (shard) => {
    const cluster = await start({ shards: 1, replicas: 3 })
    const group = shard === 0 ? 'meta' : 'shard-1'
    await lose(cluster, `${group}/node-2`)
    const begun = await cluster.control.replaceNode(`${group}/node-2`)
    expect(begun).toMatchObject({ kind: 'replace', what: `replace ${group}/node-2` })
    const operation = await ended(cluster)
    expect(operation.state).toBe(OperationState.DONE)
    expect(operation.steps.map(({ what }) => what)).toEqual([
      `bring ${group}/node-4 to ${group}`,
      `give it the place of ${group}/node-2`,
      `remove what is left of ${group}/node-2`,
    ])
    expect(operation.steps.every(({ state }) => state === StepState.DONE)).toBe(true)
    expect(history(shard)).toEqual(['1 2 3', '1 2 3 (4)', '1 3 (4)', '1 3 4'])
    await whole(cluster, 3)
    await cluster.stop(never.forced)
    const again = await start()
    await whole(again, 3)
    await again.stop(never.forced)
  })

  test('and runs goes after the new one votes, also when it leads, named by its id', async () => {
    const cluster = await start({ shards: 1, replicas: 3 })
    const { leader } = world.shard(1)
    const index = leader?.data.spec.index
    await cluster.control.replaceNode(leader?.data.id ?? '')
    expect((await ended(cluster)).state).toBe(OperationState.DONE)
    expect(history(1).at(-2)).toBe('1 2 3 4')
    expect(history(1).at(-1)).not.toContain(`${index}`)
    await whole(cluster, 3)
    await cluster.stop(never.forced)
  })

  test('and is the only one gives its place to one that has everything', async () => {
    const cluster = await start({ shards: 1, replicas: 1 })
    await cluster.control.replaceNode('shard-1/node-1')
    expect((await ended(cluster)).state).toBe(OperationState.DONE)
    expect(history(1)).toEqual(['1', '1 (2)', '1 2', '2'])
    await whole(cluster, 1)
    await cluster.stop(never.forced)
  })

  test('cannot be without a majority of the others, and must be there', async () => {
    const cluster = await start({ shards: 1, replicas: 2 })
    await lose(cluster, 'shard-1/node-2')
    await expect(cluster.control.replaceNode('shard-1/node-2')).rejects.toThrow(
      'shard-1 has no majority without shard-1/node-2',
    )
    await expect(cluster.control.replaceNode('shard-1/node-9')).rejects.toThrow('there is no node "shard-1/node-9"')
    expect(await cluster.control.operations()).toEqual([])
    await cluster.stop(never.forced)
  })

  test('stays when that is cancelled while the new one catches up', async () => {
    world.behind.add('shard-1/node-4')
    const cluster = await start({ shards: 1, replicas: 3 })
    const { id } = await cluster.control.replaceNode('shard-1/node-2')
    await until(cluster, (operation) => /node-4 catches up: 10000 entries behind/.test(operation?.detail ?? ''))
    await cluster.control.steer(id, Steer.CANCEL)
    expect((await ended(cluster)).state).toBe(OperationState.CANCELLED)
    expect(history(1)).toEqual(['1 2 3', '1 2 3 (4)', '1 2 3'])
    await whole(cluster, 3)
    await cluster.stop(never.forced)
  })

  test('gets another successor when the first one loses its data', async () => {
    world.behind.add('shard-1/node-4')
    const cluster = await start({ shards: 1, replicas: 3 })
    await lose(cluster, 'shard-1/node-2')
    const { id } = await cluster.control.replaceNode('shard-1/node-2')
    await until(cluster, (operation) => /node-4 catches up/.test(operation?.detail ?? ''))
    world.data.delete('shard-1/node-4')
    rmSync(join(folder, 'shard-1', 'node-4'), { recursive: true })
    world.kill('shard-1/node-4')
    expect((await ended(cluster)).state).toBe(OperationState.DONE)
    expect((await nodesOf(cluster, 1)).map(({ name }) => name.at(-1))).toEqual(['1', '3', '5'])
    await expect(cluster.control.steer(id, Steer.CANCEL)).rejects.toThrow('has ended')
    await whole(cluster, 3)
    await cluster.stop(never.forced)
  })
})

describe('a node that is lost', () => {
  test('is replaced by itself when it has been for long enough, and one that is only damaged is not', async () => {
    const cluster = await start({ shards: 2, replicas: 3, replaceAfterMs: 5_000 })
    world.ends.set('shard-1/node-1', { code: 65 })
    world.kill('shard-1/node-1', { code: 65 })
    await vi.waitFor(async () => expect((await nodesOf(cluster, 1))[0]?.condition).toBe(Condition.HELD), 10_000)
    for (const name of ['shard-2/node-2', 'shard-2/node-3']) {
      world.data.delete(name)
      rmSync(join(folder, name), { recursive: true })
      world.kill(name)
      await until(cluster, (operation) => operation?.what === `replace ${name}, which is lost`)
      expect((await ended(cluster)).state).toBe(OperationState.DONE)
    }
    expect(await cluster.control.operations()).toHaveLength(2)
    expect((await nodesOf(cluster, 2)).map(({ name }) => name.at(-1))).toEqual(['1', '4', '5'])
    expect((await nodesOf(cluster, 1)).map(({ name }) => name.at(-1))).toEqual(['1', '2', '3'])
    await cluster.stop(never.forced)
  })
})

describe('an orchestrator that dies', () => {
  interface Scene {
    readonly lost: boolean
    readonly cancelled: boolean
  }
  const scenes: readonly (readonly [string, Scene])[] = [
    ['the replacement of a lost node', { lost: true, cancelled: false }],
    ['the replacement of a node that runs', { lost: false, cancelled: false }],
    ['a replacement that is cancelled', { lost: false, cancelled: true }],
  ]

  test.each(scenes)(
    'at any step of %s is followed by one that finishes it',
    async (_, { lost, cancelled }) => {
      const met = new Set<string>()
      for (let at = 1; ; at++) {
        world = new FakeWorld()
        if (cancelled) world.behind.add('shard-1/node-4')
        const first = await start({ shards: 1, replicas: 3 })
        if (lost) await lose(first, 'shard-1/node-2')
        await first.stop(never.forced)
        const how = await dieAt(at, {
          start: (parts) => start(parts),
          act: async (cluster) => {
            const { id } = await cluster.control.replaceNode('shard-1/node-2')
            if (cancelled) {
              for await (const { detail } of cluster.control.watch(id, never.asked)) if (/entries/.test(detail)) break
              await cluster.control.steer(id, Steer.CANCEL)
            }
            await ended(cluster)
          },
        })
        if (how === undefined) break
        met.add(how.split(' ')[0] ?? '')
        world.behind.clear()
        const cluster = await start()
        const [operation] = await cluster.control.operations()
        const state = operation === undefined ? undefined : (await ended(cluster)).state
        if (state === undefined && lost) {
          await cluster.control.replaceNode('shard-1/node-2')
          await ended(cluster)
        }
        await whole(cluster, 3)
        const names = (await nodesOf(cluster, 1)).map(({ name }) => name)
        const stays = !lost && (state === undefined || state === OperationState.CANCELLED)
        expect(names.includes('shard-1/node-2'), how).toBe(stays)
        await cluster.stop(never.forced)
        rmSync(folder, { recursive: true })
      }
      for (const step of ['meta', 'setGroup', 'spawn', 'addNonVoter', 'removeMember', 'forgetNode']) {
        expect([...met]).toContain(step)
      }
      if (!cancelled) for (const step of ['promote', 'setMap']) expect([...met]).toContain(step)
    },
    300_000,
  )
})
