import { setMaxListeners } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { seededRng } from '../../core/rng.js'
import { silent } from '../../telemetry/index.js'
import { MoveState, type Operation, OperationState, Steer } from '../../wire/control.js'
import { ImportPhase, PartitionState } from '../../wire/node-admin.js'
import { type Cluster, type Stop, startCluster } from '../cluster.js'
import { DataDirectory } from '../data-directory.js'
import { place } from '../placement.js'
import { Registry } from '../registry.js'
import { FakeWorld } from '../testing/fake-world.js'
import { ScaledClock } from '../testing/scaled-clock.js'

let folder: string
let world: FakeWorld

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kvorum-scale-'))
  world = new FakeWorld()
})
afterEach(() => {
  vi.restoreAllMocks()
  rmSync(folder, { recursive: true, force: true })
})

const never: Stop = { asked: new AbortController().signal, forced: new AbortController().signal }
setMaxListeners(0, never.asked, never.forced)
type Pass = (what: string) => Promise<void>
const open: Pass = async () => {}

interface StartOptions {
  readonly shards?: number
  readonly pass?: Pass
  readonly clock?: ScaledClock
  readonly lingerMs?: number
}

/** Few moves of many partitions each, so that every step of every move can be tried. */
function start({
  shards,
  pass = open,
  clock = new ScaledClock(),
  lingerMs = 100,
}: StartOptions = {}): Promise<Cluster> {
  const options = {
    directory: new DataDirectory(folder),
    shape: { shards, replicas: shards === undefined ? undefined : 1 },
    driver: world.driver(pass),
    links: world.links(pass),
    telemetry: silent,
    clock,
    rng: seededRng(1),
    pid: 1,
    startTimeoutMs: 60_000,
    stopTimeoutMs: 1_000,
    lingerMs,
    partitionsPerMoveMax: 1024,
  }
  return startCluster(options, never)
}

/** The newest operation when it has ended, and not stumbled for ever. */
async function ended(cluster: Cluster): Promise<Operation> {
  const [operation] = await cluster.control.operations()
  if (operation === undefined) throw new Error('no operation')
  let last = operation
  for await (const one of cluster.control.watch(operation.id, never.asked)) last = one
  return last
}

/** Map and state machines say the same, nothing is lost, and nobody runs who ought not to. */
function expectWhole(cluster: Cluster, shards: number): void {
  const map = cluster.maps.current()
  const ids = Array.from({ length: shards }, (_, at) => at + 1)
  expect(map.shards.map(({ id }) => id)).toEqual(ids)
  map.owners.forEach((owner, partition) => {
    const row = world.shard(owner).partitions.rows[partition]
    expect([partition, row?.state, row?.whole]).toEqual([partition, PartitionState.OWNED, true])
  })
  expect([...world.running].map(({ data }) => data.spec.name).sort()).toEqual(
    ['meta/node-1', ...ids.map((id) => `shard-${id}/node-1`)].sort(),
  )
}

describe('a cluster that is scaled', () => {
  test.each([
    [1, 2],
    [3, 5],
    [2, 1],
    [5, 3],
  ])('from %i to %i shards has the placement of a new one, and everything in it', async (from, to) => {
    const cluster = await start({ shards: from })
    const before = cluster.maps.current()
    const begun = await cluster.control.scale(to, false)
    expect(begun).toMatchObject({ what: `scale from ${from} to ${to} shards`, state: OperationState.RUNNING })
    const operation = await ended(cluster)
    expect(operation.state).toBe(OperationState.DONE)
    expect(operation.moves.every(({ state, pauseUs }) => state === MoveState.DONE && pauseUs === 700n)).toBe(true)
    expectWhole(cluster, to)
    const map = cluster.maps.current()
    expect(map.owners).toEqual(place(map.shards.map(({ id }) => id)))
    expect(map.epoch).toBeGreaterThan(before.epoch)
    for (let gone = to + 1; gone <= from; gone++) expect(existsSync(join(folder, `shard-${gone}`))).toBe(false)
    await cluster.stop(never.forced)
    const again = await start()
    expect(again.shape.shards).toBe(to)
    expect(again.maps.current()).toEqual(map)
    await again.stop(never.forced)
  })

  test('there and back and there again, on the same names', async () => {
    const cluster = await start({ shards: 2 })
    for (const shards of [3, 2, 3]) {
      await cluster.control.scale(shards, false)
      expect((await ended(cluster)).state).toBe(OperationState.DONE)
      expectWhole(cluster, shards)
    }
    expect((await cluster.control.operations()).map(({ what }) => what)).toEqual([
      'scale from 2 to 3 shards',
      'scale from 3 to 2 shards',
      'scale from 2 to 3 shards',
    ])
    await cluster.stop(never.forced)
  })

  test('a dry run says what would be, and does nothing', async () => {
    const cluster = await start({ shards: 1 })
    const plan = await cluster.control.scale(2, true)
    expect(plan).toMatchObject({ id: '', what: 'scale from 1 to 2 shards' })
    expect(plan.moves).toMatchObject([{ fromShard: 1, toShard: 2, state: MoveState.WAITING }])
    expect(await cluster.control.operations()).toEqual([])
    expectWhole(cluster, 1)
    await cluster.stop(never.forced)
  })
})

describe('an import', () => {
  const { COPYING, CAUGHT_UP, FROZEN, RELEASED, ACTIVE } = ImportPhase
  const phases = [COPYING, CAUGHT_UP, FROZEN, RELEASED, ACTIVE]

  test.each(phases.flatMap((phase) => [false, true].map((outlives) => ({ phase, outlives }))))(
    'whose stream breaks at %j is finished, or done again',
    async ({ phase, outlives }) => {
      const cluster = await start({ shards: 1 })
      Object.assign(world.imports, { outlives })
      world.imports.breaks.push(phase)
      await cluster.control.scale(2, false)
      const { state, moves } = await ended(cluster)
      expect(state).toBe(OperationState.DONE)
      // Past the release it only goes forward; who outlives it may get there before it is thawed.
      if (phase >= RELEASED) expect(moves[0]?.attempts).toBe(1)
      else if (!outlives) expect(moves[0]?.attempts).toBe(2)
      expectWhole(cluster, 2)
      await cluster.stop(never.forced)
    },
  )

  test('whose freeze was over before the release is done again', async () => {
    const cluster = await start({ shards: 1 })
    world.imports.thaws = 2
    await cluster.control.scale(2, false)
    expect((await ended(cluster)).moves[0]?.attempts).toBe(3)
    expectWhole(cluster, 2)
    await cluster.stop(never.forced)
  })
})
