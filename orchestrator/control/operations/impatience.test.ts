import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { OperationState, Steer } from '../../wire/control.js'
import type { Cluster } from '../cluster.js'
import { FakeWorld } from '../testing/fake-world.js'
import * as scene from '../testing/scale-scene.js'
import { ended, never } from '../testing/scale-scene.js'

// Meta is away for longer than whoever asks has patience. What was asked for is not cut off in the middle: it is told as
// unknown, and happens when meta is back, without anybody asking again.

let folder: string
let world: FakeWorld

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kvorum-impatience-'))
  world = new FakeWorld()
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

async function withoutMeta(ask: () => Promise<unknown>): Promise<void> {
  world.ends.set('meta/node-1', { code: 69 })
  world.kill('meta/node-1')
  const failure = await ask().catch((error: unknown) => error)
  expect(failure).toMatchObject({ code: 'UNAVAILABLE', outcome: 'unknown' })
  world.ends.delete('meta/node-1')
}

async function detail(cluster: Cluster, wanted: RegExp): Promise<void> {
  await vi.waitFor(async () => expect((await cluster.control.operations())[0]?.detail).toMatch(wanted), 10_000)
}

test('an operation that is asked for without meta is begun when it is back', async () => {
  const cluster = await scene.start({ folder, world, shards: 1 })
  await withoutMeta(() => cluster.control.scale(2, false))
  await vi.waitFor(async () => expect(await cluster.control.operations()).toHaveLength(1), 10_000)
  expect((await ended(cluster)).state).toBe(OperationState.DONE)
  scene.expectWhole(world, cluster, 2)
  await cluster.stop(never.forced)
})

test('a cancel that is asked for without meta ends what waits when it is back', async () => {
  world.seeding.add('shard-2/node-1')
  const cluster = await scene.start({ folder, world, shards: 1 })
  const { id } = await cluster.control.scale(2, false)
  await detail(cluster, /^waiting for shard-2/)
  await withoutMeta(() => cluster.control.steer(id, Steer.CANCEL))
  expect((await ended(cluster)).state).toBe(OperationState.CANCELLED)
  scene.expectWhole(world, cluster, 1)
  await cluster.stop(never.forced)
})

test('whoever only looks is told as well', async () => {
  const cluster = await scene.start({ folder, world, shards: 1 })
  await withoutMeta(async () => {
    const begun = cluster.control.scale(2, false).catch(() => {})
    // Behind the other one.
    await expect(cluster.control.operations()).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    await begun
    return cluster.control.steer('nobody', Steer.PAUSE)
  })
  await vi.waitFor(async () => expect(await cluster.control.operations()).toHaveLength(1), 10_000)
  expect((await ended(cluster)).state).toBe(OperationState.DONE)
  await cluster.stop(never.forced)
})
