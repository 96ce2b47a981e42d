// What the model says of the orchestrator, beside an orchestrator: the real one, in a world of fake nodes.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { Cluster } from '../../orchestrator/control/cluster.js'
import { unseal } from '../../orchestrator/control/fence.js'
import { LEASE_KEY } from '../../orchestrator/control/lease-record.js'
import { FakeWorld } from '../../orchestrator/control/testing/fake-world.js'
import { ended, never, start } from '../../orchestrator/control/testing/scale-scene.js'
import { decodeClusterMap, encodeClusterMap } from '../../orchestrator/wire/cluster-map.js'
import { operationLoad } from './meta.js'
import { mapsForAddresses, reshardMaps } from './push.js'

const [FROM, TO] = [3, 5]

let folder: string
let world: FakeWorld
let cluster: Cluster
/** Keys and sizes of what meta is written, without the envelopes, and how often a map was published. */
let written: { readonly key: string; readonly bytes: number }[]
let published: number

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'kvorum-fleet-'))
  world = new FakeWorld()
  cluster = await start({ folder, world, shards: FROM, partitionsPerMoveMax: 32 })
  written = []
  published = 0
  cluster.maps.subscribe(() => published++)
  const set = world.meta.set.bind(world.meta)
  vi.spyOn(world.meta, 'set').mockImplementation((key, row) => {
    // The lease is renewed whenever its time comes.
    if (key !== LEASE_KEY) written.push({ key, bytes: unseal(row.value).value?.length ?? 0 })
    return set(key, row)
  })
})
afterEach(async () => {
  await cluster.stop(never.forced)
  vi.restoreAllMocks()
  rmSync(folder, { recursive: true, force: true })
})

test('an operation: so many moves, writes, bytes and maps', async () => {
  await cluster.control.scale(TO, false)
  await ended(cluster)
  const model = operationLoad(FROM, TO, encodeClusterMap(cluster.maps.current()).length)
  expect(published).toBe(reshardMaps(FROM, TO).maps)
  expect(written.filter(({ key }) => key === 'map')).toHaveLength(model.moves + 1)
  expect(written).toHaveLength(model.writes)
  // Rows of moves that are not done yet are shorter, and the model does not count the index.
  const bytes = written.reduce((sum, one) => sum + one.bytes, 0)
  expect(bytes / model.bytes).toBeGreaterThan(0.8)
  expect(bytes / model.bytes).toBeLessThan(1.05)
})

test('an address that changes: the map as it is at once, and again with the epoch of meta', async () => {
  const before = cluster.maps.current()
  world.kill('shard-1/node-1', { code: 69 })
  await vi.waitFor(() => expect(cluster.maps.current().epoch).toBeGreaterThan(before.epoch))
  expect(published).toBe(mapsForAddresses([0]))
  expect(written.map(({ key }) => key)).toEqual(['map'])
  expect(decodeClusterMap(unseal(world.meta.get('map')?.value).value ?? new Uint8Array())).toEqual(
    cluster.maps.current(),
  )
})
