import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { PreconditionFailedError } from '../../errors/index.js'
import { type Operation, OperationState, Steer, StepState } from '../../wire/control.js'
import type { Cluster } from '../cluster.js'
import { dieAt } from '../testing/die-at.js'
import { FakeWorld } from '../testing/fake-world.js'
import * as scene from '../testing/scale-scene.js'
import { ended, expectMembers, never, type StartOptions } from '../testing/scale-scene.js'

let folder: string
let world: FakeWorld

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kvorum-replicas-'))
  world = new FakeWorld()
})
afterEach(() => {
  vi.restoreAllMocks()
  rmSync(folder, { recursive: true, force: true })
})

function start(options: Partial<StartOptions> = {}): Promise<Cluster> {
  return scene.start({ folder, world, ...options })
}

function whole(cluster: Cluster, replicas: number, absent: readonly string[] = []): Promise<void> {
  return expectMembers({ world, folder }, cluster, replicas, absent)
}

function refuse(): never {
  throw new PreconditionFailedError('no majority of the others answers', { outcome: 'not-applied' })
}

async function until(cluster: Cluster, holds: (operation: Operation | undefined) => boolean): Promise<void> {
  await vi.waitFor(async () => expect(holds((await cluster.control.operations())[0])).toBe(true), 10_000)
}

describe('a cluster that gets other numbers of replicas', () => {
  test.each([
    [1, 3],
    [3, 5],
    [3, 1],
    [5, 3],
    [2, 3],
  ])('from %i to %i has as many in every group, and a later start finds it so', async (from, to) => {
    const cluster = await start({ shards: 2, replicas: from })
    const before = cluster.maps.current()
    const begun = await cluster.control.replicas(to, false)
    expect(begun).toMatchObject({ kind: 'replicas', what: `scale from ${from} to ${to} replicas` })
    expect(begun.steps).toHaveLength(3 * Math.abs(to - from))
    const operation = await ended(cluster)
    expect(operation.state).toBe(OperationState.DONE)
    expect(operation.steps.every(({ state }) => state === StepState.DONE)).toBe(true)
    await whole(cluster, to)
    expect(cluster.maps.current().owners).toEqual(before.owners)
    expect(cluster.maps.current().epoch).toBeGreaterThan(before.epoch)
    const map = cluster.maps.current()
    await cluster.stop(never.forced)

    const again = await start()
    expect(again.shape.replicas).toBe(to)
    expect(again.maps.current()).toEqual(map)
    await whole(again, to)
    await again.stop(never.forced)
  })

  test('one node at a time, each without a vote first', async () => {
    const cluster = await start({ shards: 1, replicas: 1 })
    await cluster.control.replicas(3, false)
    await ended(cluster)
    const plain = world.shard(1).members.history.map((one) => one.replaceAll(/id-shard-1\/node-(\d)-\d+/g, '$1'))
    expect(plain).toEqual(['1', '1 (2)', '1 2', '1 2 (3)', '1 2 3'])
    await cluster.stop(never.forced)
  })

  test('gives up the nodes that are drained first', async () => {
    const cluster = await start({ shards: 1, replicas: 3 })
    // Neither the newest nor the first.
    await cluster.control.drain({ node: 'shard-1/node-2', machine: '', undo: false, dryRun: false })
    await cluster.control.replicas(2, false)
    await ended(cluster)
    const { groups } = await cluster.control.status()
    expect(groups[1]?.nodes.map(({ name }) => name)).toEqual(['shard-1/node-1', 'shard-1/node-3'])
    await cluster.stop(never.forced)
  })

  test('never uses a name again, and makes new shards of the new size', async () => {
    const cluster = await start({ shards: 1, replicas: 3 })
    for (const replicas of [1, 3]) {
      await cluster.control.replicas(replicas, false)
      await ended(cluster)
    }
    await whole(cluster, 3)
    const [, shard] = (await cluster.control.status()).groups
    expect(shard?.nodes.map(({ name }) => Number(name.at(-1))).slice(-2)).toEqual([4, 5])
    await cluster.control.scale(2, false)
    await ended(cluster)
    await whole(cluster, 3)
    await cluster.stop(never.forced)
  })

  test('keeps who leads', async () => {
    const cluster = await start({ shards: 1, replicas: 3 })
    const leaders = [0, 1].map((shard) => world.shard(shard).leader?.data.id)
    await cluster.control.replicas(1, false)
    await ended(cluster)
    expect([0, 1].map((shard) => world.shard(shard).leader?.data.id)).toEqual(leaders)
    expect([0, 1].map((shard) => world.shard(shard).term)).toEqual([1n, 1n])
    await cluster.stop(never.forced)
  })

  test('a dry run says what would be done, and as many as there are is done', async () => {
    const cluster = await start({ shards: 1, replicas: 1 })
    const plan = await cluster.control.replicas(2, true)
    expect(plan).toMatchObject({ id: '', what: 'scale from 1 to 2 replicas' })
    expect(plan.steps.map(({ what }) => what)).toEqual(['add meta/node-2 to meta', 'add shard-1/node-2 to shard-1'])
    expect(await cluster.control.replicas(1, false)).toMatchObject({ id: '', state: OperationState.DONE, steps: [] })
    expect(await cluster.control.operations()).toEqual([])
    await expect(cluster.control.replicas(8, false)).rejects.toThrow('must be from 1 to 7, and not 8')
    await cluster.stop(never.forced)
  })
})

describe('an operation', () => {
  test.each(['nobody leads', 'the leader refuses it'])(
    'that waits to remove a node because %s can be cancelled, and the node stays',
    async (why) => {
      const cluster = await start({ shards: 1, replicas: 2 })
      const before = world.shard(1).members.voters
      const names = ['shard-1/node-1', 'shard-1/node-2']
      if (why === 'nobody leads') for (const name of names) world.mute(name)
      else vi.spyOn(world.shard(1).members, 'remove').mockImplementation(refuse)
      const { id } = await cluster.control.replicas(1, false)
      await until(cluster, (operation) => /^removing shard-1.*from shard-1/.test(operation?.detail ?? ''))
      await cluster.control.steer(id, Steer.CANCEL)
      vi.restoreAllMocks()
      // It is over for shard 1 before anybody is heard again: meta gets its node back.
      await until(cluster, (operation) => operation?.steps.some(({ what }) => what.startsWith('add')) ?? false)
      for (const name of names) world.unmute(name)
      expect((await ended(cluster)).state).toBe(OperationState.CANCELLED)
      expect(world.shard(1).members.voters).toEqual(before)
      await whole(cluster, 2)
      await cluster.stop(never.forced)
    },
  )

  test('whose node does not catch up can be cancelled, and takes it away again', async () => {
    world.behind.add('shard-1/node-4')
    const cluster = await start({ shards: 1, replicas: 3 })
    const { id } = await cluster.control.replicas(5, false)
    await until(cluster, (operation) =>
      /shard-1\/node-4 catches up: 10000 entries behind/.test(operation?.detail ?? ''),
    )
    expect(world.shard(1).members.voters).toHaveLength(3)
    expect((await cluster.control.steer(id, Steer.CANCEL)).state).toBe(OperationState.CANCELLING)
    expect((await ended(cluster)).state).toBe(OperationState.CANCELLED)
    // Meta's turn was before: the nodes that it was given are gone as well.
    await whole(cluster, 3)
    await cluster.stop(never.forced)
  })

  test('that takes nodes away and is cancelled brings others', async () => {
    const cluster = await start({ shards: 3, replicas: 3 })
    const { id } = await cluster.control.replicas(1, false)
    for await (const { steps } of cluster.control.watch(id, never.asked)) {
      if (steps.some(({ state }) => state === StepState.DONE)) break
    }
    await cluster.control.steer(id, Steer.CANCEL)
    expect((await ended(cluster)).state).toBe(OperationState.CANCELLED)
    await whole(cluster, 3)
    await cluster.stop(never.forced)
  })

  test('pauses behind the change under way, also over a restart', async () => {
    const cluster = await start({ shards: 3, replicas: 1 })
    const { id } = await cluster.control.replicas(2, false)
    for await (const { steps } of cluster.control.watch(id, never.asked)) {
      if (steps.some(({ state }) => state === StepState.DONE)) break
    }
    await cluster.control.steer(id, Steer.PAUSE)
    await until(cluster, (operation) => operation?.steps.every(({ state }) => state !== StepState.RUNNING) ?? false)
    await cluster.stop(never.forced)
    const again = await start()
    const [paused] = await again.control.operations()
    expect(paused?.state).toBe(OperationState.PAUSED)
    await again.control.steer(id, Steer.RESUME)
    expect((await ended(again)).state).toBe(OperationState.DONE)
    await whole(again, 2)
    await again.stop(never.forced)
  })

  test('whose new node loses its data makes another one', async () => {
    world.behind.add('shard-1/node-2')
    const cluster = await start({ shards: 1, replicas: 1 })
    await cluster.control.replicas(2, false)
    await until(cluster, (operation) => /shard-1\/node-2 catches up: /.test(operation?.detail ?? ''))
    rmSync(join(folder, 'shard-1', 'node-2'), { recursive: true })
    world.kill('shard-1/node-2')
    expect((await ended(cluster)).state).toBe(OperationState.DONE)
    await whole(cluster, 2)
    const [, shard] = (await cluster.control.status()).groups
    expect(shard?.nodes.map(({ name }) => name)).toEqual(['shard-1/node-1', 'shard-1/node-3'])
    await cluster.stop(never.forced)
  })

  test('takes away first who does not run, and waits until the others can decide', async () => {
    const cluster = await start({ shards: 1, replicas: 3 })
    world.ends.set('shard-1/node-2', { code: 65 })
    world.kill('shard-1/node-2', { code: 65 })
    await cluster.control.replicas(2, false)
    expect((await ended(cluster)).state).toBe(OperationState.DONE)
    await whole(cluster, 2)
    const [, shard] = (await cluster.control.status()).groups
    expect(shard?.nodes.map(({ name }) => name)).toEqual(['shard-1/node-1', 'shard-1/node-3'])
    await cluster.stop(never.forced)
  })

  test('removes a member that a late order has added', async () => {
    const cluster = await start({ shards: 1, replicas: 1 })
    world.shard(1).members.add('id-of-nobody', 0n)
    await cluster.control.replicas(2, false)
    expect((await ended(cluster)).state).toBe(OperationState.DONE)
    await whole(cluster, 2)
    await cluster.stop(never.forced)
  })
})

describe('an orchestrator that dies', () => {
  interface Scene {
    readonly from: number
    readonly to: number
    /** Cancels when so many changes are done. */
    readonly cancelAfter?: number
  }

  const scenes: readonly (readonly [string, Scene])[] = [
    ['one replica to three', { from: 1, to: 3 }],
    ['three replicas to one', { from: 3, to: 1 }],
    ['one replica to three, cancelled', { from: 1, to: 3, cancelAfter: 3 }],
    ['three replicas to one, cancelled', { from: 3, to: 1, cancelAfter: 1 }],
  ]

  test.each(scenes)(
    'at any step of %s is followed by one that finishes it',
    async (_, { from, to, cancelAfter }) => {
      const met = new Set<string>()
      for (let at = 1; ; at++) {
        world = new FakeWorld()
        const how = await dieAt(at, {
          start: (parts) => start({ shards: 1, replicas: from, ...parts }),
          act: async (cluster) => {
            const { id } = await cluster.control.replicas(to, false)
            if (cancelAfter !== undefined) {
              for await (const { steps } of cluster.control.watch(id, never.asked)) {
                if (steps.filter(({ state }) => state === StepState.DONE).length >= cancelAfter) break
              }
              await cluster.control.steer(id, Steer.CANCEL).catch(() => {})
            }
            await ended(cluster)
          },
        })
        if (how === undefined) break
        met.add(how.split(' ')[0] ?? '')
        const cluster = await start()
        const [operation] = await cluster.control.operations()
        const state = operation === undefined ? OperationState.CANCELLED : (await ended(cluster)).state
        expect([OperationState.DONE, OperationState.CANCELLED], how).toContain(state)
        await whole(cluster, state === OperationState.DONE ? to : from)
        await cluster.stop(never.forced)
        rmSync(folder, { recursive: true })
      }
      const adds = to > from || cancelAfter !== undefined
      const removes = to < from || cancelAfter !== undefined
      const steps = [
        ['meta', 'setGroup', 'setMap'],
        adds ? ['spawn', 'addNonVoter', 'promote'] : [],
        removes ? ['removeMember', 'forgetNode'] : [],
        cancelAfter === undefined ? ['setCluster'] : [],
      ]
      for (const step of steps.flat()) expect([...met]).toContain(step)
    },
    300_000,
  )
})
