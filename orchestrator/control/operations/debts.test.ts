import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { OperationState, Steer } from '../../wire/control.js'
import { ImportPhase, PartitionState } from '../../wire/node-admin.js'
import type { Cluster } from '../cluster.js'
import { unseal } from '../fence.js'
import { FakeWorld } from '../testing/fake-world.js'
import * as scene from '../testing/scale-scene.js'
import { ended, never } from '../testing/scale-scene.js'

let folder: string
let world: FakeWorld

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kvorum-debts-'))
  world = new FakeWorld()
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** A receiver goes in the middle of an import, and does not come back; the operation is cancelled. */
async function cancelledWithoutReceiver(from: number, to: number, receiver: string): Promise<Cluster> {
  const cluster = await scene.start({ folder, world, shards: from })
  world.imports.stalls.push(ImportPhase.FROZEN)
  const { id } = await cluster.control.scale(to, false)
  await vi.waitFor(() => expect(world.imports.stalls).toEqual([]), 10_000)
  world.ends.set(receiver, { code: 69 })
  world.kill(receiver)
  await cluster.control.steer(id, Steer.CANCEL)
  expect((await ended(cluster)).state).toBe(OperationState.CANCELLED)
  return cluster
}

function debts(): unknown[] {
  const row = world.meta.get('operations')
  return JSON.parse(Buffer.from(unseal(row?.value).value ?? []).toString()).debts
}

/** Of partitions that shard 2 owns of two. */
function statesAtReceiver(shard: number, owners: readonly number[]): Set<PartitionState> {
  const { rows } = world.shard(shard).partitions
  return new Set(rows.filter((_, partition) => owners[partition] !== shard).map(({ state }) => state))
}

test('a cancel does not wait for a new shard that is gone for good', async () => {
  const cluster = await cancelledWithoutReceiver(1, 2, 'shard-2/node-1')
  scene.expectWhole(world, cluster, 1)
  // Gone with all that it had.
  await vi.waitFor(() => expect(debts()).toEqual([]), 10_000)
  await cluster.stop(never.forced)
})

test('a receiver that comes back drops what is left of a move that was cancelled, and takes it again', async () => {
  const cluster = await cancelledWithoutReceiver(2, 1, 'shard-1/node-1')
  const { owners } = cluster.maps.current()
  expect(debts()).toMatchObject([{ shard: 1 }])
  expect(statesAtReceiver(1, owners)).toEqual(new Set([PartitionState.IMPORTING]))
  world.ends.delete('shard-1/node-1')
  await vi.waitFor(() => expect(debts()).toEqual([]), 30_000)
  expect(statesAtReceiver(1, owners)).not.toContain(PartitionState.IMPORTING)
  scene.expectWhole(world, cluster, 2)
  await cluster.control.scale(1, false)
  expect((await ended(cluster)).state).toBe(OperationState.DONE)
  scene.expectWhole(world, cluster, 1)
  await cluster.stop(never.forced)
})

test('also when another orchestrator runs by then, and no operation does', async () => {
  const cluster = await cancelledWithoutReceiver(2, 1, 'shard-1/node-1')
  const { owners } = cluster.maps.current()
  await cluster.stop(never.forced)
  expect(debts()).toHaveLength(1)
  world.ends.delete('shard-1/node-1')
  const again = await scene.start({ folder, world })
  await vi.waitFor(() => expect(debts()).toEqual([]), 30_000)
  expect(statesAtReceiver(1, owners)).not.toContain(PartitionState.IMPORTING)
  await again.stop(never.forced)
})
