import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { FakeMachines } from '../testing/fake-machines.js'
import { FakeWorld } from '../testing/fake-world.js'
import { never, start } from '../testing/scale-scene.js'

let folder: string
let world: FakeWorld

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kvorum-forecast-'))
  world = new FakeWorld()
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

test('a dry run names the nodes that would go and come, and changes nothing', async () => {
  const cluster = await start({ folder, world, shards: 1, replicas: 3 })
  const fewer = await cluster.control.replicas(1, true)
  expect(fewer.steps.map(({ what }) => what)).toEqual([
    expect.stringMatching(/^take meta\/node-\d away from meta$/),
    expect.stringMatching(/^take meta\/node-\d away from meta$/),
    expect.stringMatching(/^take shard-1\/node-\d away from shard-1$/),
    expect.stringMatching(/^take shard-1\/node-\d away from shard-1$/),
  ])
  expect(new Set(fewer.steps.map(({ what }) => what)).size).toBe(4)
  expect(fewer.detail).toMatch(/^with 1 replica nothing has a second copy: a shard stops while its node does/)
  const more = await cluster.control.replicas(5, true)
  expect(more.steps.map(({ what }) => what)).toEqual([
    'add meta/node-4 to meta',
    'add meta/node-5 to meta',
    'add shard-1/node-4 to shard-1',
    'add shard-1/node-5 to shard-1',
  ])
  expect(more.detail).toBe('')
  expect((await cluster.control.replicas(2, true)).detail).toBe('2 replicas survive the loss of none, as 1 does')
  expect((await cluster.control.replicas(3, true)).detail).toBe('')
  expect(await cluster.control.operations()).toEqual([])
  await cluster.stop(never.forced)
})

test('too few machines are told before anything is begun', async () => {
  const machines = new FakeMachines(world, 'a', 'b')
  const cluster = await start({ folder, world, shards: 1, replicas: 1, machines })
  expect((await cluster.control.replicas(3, true)).detail).toMatch(/^the loss of machine [ab] stops /)
  expect((await cluster.control.scale(2, true)).detail).toBe('')
  await cluster.stop(never.forced)
})
