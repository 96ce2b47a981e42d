import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { UnavailableError } from '../../errors/index.js'
import { MoveState, type Operation, OperationState, Steer } from '../../wire/control.js'
import { ImportPhase, PartitionState } from '../../wire/node-admin.js'
import type { Cluster } from '../cluster.js'
import { DataDirectory } from '../data-directory.js'
import { StartFault } from '../faults.js'
import { place } from '../placement.js'
import { Registry } from '../registry.js'
import { FakeWorld } from '../testing/fake-world.js'
import * as scene from '../testing/scale-scene.js'
import { ended, never, type StartOptions } from '../testing/scale-scene.js'
import { Journal } from './journal.js'

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

function start(options: Partial<StartOptions> = {}): Promise<Cluster> {
  return scene.start({ folder, world, ...options })
}

function expectWhole(cluster: Cluster, shards: number): void {
  scene.expectWhole(world, cluster, shards)
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

  test.each([CAUGHT_UP, RELEASED])(
    'whose leader stops without a word at %j is left when there is another one',
    async (phase) => {
      const cluster = await start({ shards: 1, replicas: 3 })
      world.imports.stalls.push(phase)
      await cluster.control.scale(2, false)
      await vi.waitFor(() => expect(world.imports.stalls).toEqual([]), 10_000)
      world.depose(2)
      const { state, moves } = await ended(cluster)
      expect(state).toBe(OperationState.DONE)
      expect(moves[0]?.attempts).toBe(phase >= RELEASED ? 1 : 2)
      await cluster.stop(never.forced)
    },
  )

  test.each([1, 2])(
    'whose outcome a paused leader of shard %i does not tell is asked of the next one',
    async (shard) => {
      let paused = ''
      let asked: () => void = () => {}
      const waited = new Promise<void>((resolve) => {
        asked = resolve
      })
      const pass = async (what: string) => {
        if (paused === '' && what === `move ${world.shard(shard).leader?.address}`) paused = what
        if (what !== paused) return
        asked()
        await new Promise(() => {})
      }
      const cluster = await start({ shards: 1, replicas: 3, pass })
      // Past the release the receiver is asked as well.
      world.imports.breaks.push(RELEASED)
      await cluster.control.scale(2, false)
      await waited
      world.depose(shard)
      const { state, moves } = await ended(cluster)
      expect([state, moves[0]?.attempts]).toEqual([OperationState.DONE, 1])
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

describe('an operation', () => {
  /** Begins to scale, four moves a giver, and waits until some are done. */
  async function halfway(cluster: Cluster, to: number, done = 1): Promise<string> {
    const { id } = await cluster.control.scale(to, false)
    for await (const { moves } of cluster.control.watch(id, never.asked)) {
      if (moves.filter(({ state }) => state === MoveState.DONE).length >= done) break
    }
    return id
  }

  async function until(cluster: Cluster, holds: (operation: Operation | undefined) => boolean): Promise<void> {
    await vi.waitFor(async () => expect(holds((await cluster.control.operations())[0])).toBe(true), 10_000)
  }

  test('pauses behind the move under way, also over a restart, and goes on', async () => {
    const cluster = await start({ shards: 1, partitionsPerMoveMax: 64 })
    const id = await halfway(cluster, 2)
    expect((await cluster.control.steer(id, Steer.PAUSE)).state).toBe(OperationState.PAUSED)
    await until(cluster, (operation) => !operation?.moves.some(({ state }) => state === MoveState.RUNNING))
    const { owners } = cluster.maps.current()
    // Whatever else happens, and takes longer than a move.
    const before = world.process('shard-1/node-1')
    world.kill('shard-1/node-1')
    await vi.waitFor(() => expect(world.process('shard-1/node-1')).not.toBe(before))
    await vi.waitFor(() => expect(world.shard(1).leader?.data.spec.name).toBe('shard-1/node-1'))
    await vi.waitFor(async () => expect((await cluster.control.operations())[0]?.detail).toBe(''))
    await cluster.stop(never.forced)

    const again = await start()
    expect(again.maps.current().owners).toEqual(owners)
    const [paused] = await again.control.operations()
    expect(paused?.state).toBe(OperationState.PAUSED)
    expect(paused?.moves.map(({ state }) => state)).toContain(MoveState.WAITING)
    await again.control.steer(id, Steer.RESUME)
    expect((await ended(again)).state).toBe(OperationState.DONE)
    expectWhole(again, 2)
    await again.stop(never.forced)
  })

  test.each([
    [1, 2],
    [2, 1],
  ])('from %i to %i shards that is cancelled leaves everything as it was', async (from, to) => {
    const cluster = await start({ shards: from, partitionsPerMoveMax: 64 })
    const { owners } = cluster.maps.current()
    const id = await halfway(cluster, to, 2)
    expect((await cluster.control.steer(id, Steer.CANCEL)).state).toBe(OperationState.CANCELLING)
    expect((await ended(cluster)).state).toBe(OperationState.CANCELLED)
    expectWhole(cluster, from)
    expect(cluster.maps.current().owners).toEqual(owners)
    expect(existsSync(join(folder, 'shard-2'))).toBe(from === 2)
    await cluster.stop(never.forced)
  })

  test('that is cancelled once more on its way back gets there', async () => {
    const cluster = await start({ shards: 1, partitionsPerMoveMax: 16 })
    const id = await halfway(cluster, 2, 8)
    await cluster.control.steer(id, Steer.CANCEL)
    for await (const { detail } of cluster.control.watch(id, never.asked)) {
      if (/^moving partitions from shard 2/.test(detail)) break
    }
    expect((await cluster.control.steer(id, Steer.CANCEL)).state).toBe(OperationState.CANCELLING)
    await expect(cluster.control.steer(id, Steer.RESUME)).rejects.toThrow(/is being cancelled: it is not paused/)
    const { state, moves } = await ended(cluster)
    expect(state).toBe(OperationState.CANCELLED)
    expect(moves.every(({ attempts }) => attempts === 1)).toBe(true)
    expectWhole(cluster, 1)
    await cluster.stop(never.forced)
  })

  test('whose new shard never comes can be cancelled', async () => {
    world.seeding.add('shard-2/node-1')
    const cluster = await start({ shards: 1 })
    const { id } = await cluster.control.scale(2, false)
    await until(cluster, (operation) => operation?.detail === 'waiting for shard-2')
    await cluster.control.steer(id, Steer.CANCEL)
    expect((await ended(cluster)).state).toBe(OperationState.CANCELLED)
    expectWhole(cluster, 1)
    await cluster.stop(never.forced)
  })

  test('that waits for writes in doubt can be cancelled, and not when its shards go', async () => {
    const cluster = await start({ shards: 2, lingerMs: 100_000 })
    const { id } = await cluster.control.scale(1, false)
    await until(cluster, (operation) => /^waiting 100 s for writes/.test(operation?.detail ?? ''))
    // It owns nothing, and answers still.
    expect(cluster.maps.current().shards).toHaveLength(2)
    expect(world.process('shard-2/node-1')).toBeDefined()
    await cluster.control.steer(id, Steer.CANCEL)
    expect((await ended(cluster)).state).toBe(OperationState.CANCELLED)
    expectWhole(cluster, 2)

    const stuck = vi.spyOn(Registry.prototype, 'forgetGroup').mockRejectedValue(new Error('the disk is full'))
    await cluster.control.scale(1, false)
    await until(cluster, (operation) => /the disk is full/.test(operation?.detail ?? ''))
    const [second] = await cluster.control.operations()
    await expect(cluster.control.steer(second?.id ?? '', Steer.CANCEL)).rejects.toThrow(
      /takes its shards away already: let it end, then scale to 2/,
    )
    expect(second?.state).toBe(OperationState.RUNNING)
    stuck.mockRestore()
    expect((await ended(cluster)).state).toBe(OperationState.DONE)
    expectWhole(cluster, 1)
    await cluster.stop(never.forced)
  })

  test('whose shard is half taken away when the orchestrator stops leaves nothing of it to a start without meta', async () => {
    let full = false
    const pass = async (what: string) => {
      if (full && what === 'find shard-2/node-1') throw new Error('the disk is full')
    }
    const cluster = await start({ shards: 2, pass })
    full = true
    await cluster.control.scale(1, false)
    await until(cluster, (operation) => /the disk is full/.test(operation?.detail ?? ''))
    await cluster.stop(never.forced)
    expect(existsSync(join(folder, 'shard-2'))).toBe(true)
    world.ends.set('meta/node-1', { code: 65 })
    const again = await start()
    expect(existsSync(join(folder, 'shard-2'))).toBe(false)
    await again.stop(never.forced)
  })

  test('is the only one; asked for again it is the same one', async () => {
    const cluster = await start({ shards: 1, partitionsPerMoveMax: 64 })
    const id = await halfway(cluster, 2)
    expect((await cluster.control.scale(2, false)).id).toBe(id)
    await expect(cluster.control.scale(3, false)).rejects.toThrow(`operation ${id} is under way`)
    await ended(cluster)
    expect(await cluster.control.scale(2, false)).toMatchObject({ id: '', state: OperationState.DONE, moves: [] })
    await expect(cluster.control.steer(id, Steer.CANCEL)).rejects.toThrow(`operation ${id} has ended`)
    await cluster.stop(never.forced)
  })

  test('is the only one, also when two are asked for at once', async () => {
    const cluster = await start({ shards: 1 })
    const asked = await Promise.allSettled([2, 3, 2].map((shards) => cluster.control.scale(shards, false)))
    expect(asked.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect(await cluster.control.operations()).toHaveLength(1)
    expect((await ended(cluster)).state).toBe(OperationState.DONE)
    expectWhole(cluster, 2)
    await cluster.stop(never.forced)
  })

  test('goes on, though the answer to whoever asked for it was lost', async () => {
    const cluster = await start({ shards: 1 })
    const create = Journal.prototype.create
    vi.spyOn(Journal.prototype, 'create').mockImplementationOnce(async function (this: Journal, ...given) {
      await create.apply(this, given)
      throw new UnavailableError('the answer was lost', { outcome: 'unknown' })
    })
    await expect(cluster.control.scale(2, false)).rejects.toThrow('the answer was lost')
    expect((await ended(cluster)).state).toBe(OperationState.DONE)
    expectWhole(cluster, 2)
    await cluster.stop(never.forced)
  })

  test('that cannot be is refused in words', async () => {
    const cluster = await start({ shards: 1 })
    await expect(cluster.control.scale(257, false)).rejects.toThrow('must be from 1 to 256, and not 257')
    await expect(cluster.control.scale(0, true)).rejects.toThrow('must be from 1 to 256, and not 0')
    await expect(cluster.control.steer('nobody', Steer.PAUSE)).rejects.toThrow('there is no operation "nobody"')
    await expect(cluster.control.steer('', Steer.PAUSE)).rejects.toThrow('is named by its id')
    await expect(cluster.control.steer('nobody', Steer.UNSPECIFIED)).rejects.toThrow('paused, resumed or cancelled')
    vi.spyOn(DataDirectory.prototype, 'expectRoom').mockImplementation(() => {
      throw new StartFault('there is room for 1 MiB')
    })
    await expect(cluster.control.scale(2, false)).rejects.toMatchObject({
      code: 'PRECONDITION_FAILED',
      message: 'there is room for 1 MiB',
    })
    expect(await cluster.control.operations()).toEqual([])
    await cluster.stop(never.forced)
  })

  test('waits while meta is away; whoever asks is told', async () => {
    const cluster = await start({ shards: 1, partitionsPerMoveMax: 64 })
    const id = await halfway(cluster, 2)
    world.ends.set('meta/node-1', { code: 69 })
    world.kill('meta/node-1')
    const failure = await cluster.control.steer(id, Steer.PAUSE).catch((error) => error)
    expect(failure).toMatchObject({ code: 'UNAVAILABLE', outcome: 'unknown' })
    world.ends.delete('meta/node-1')
    await until(cluster, (operation) => operation?.state === OperationState.PAUSED)
    await cluster.control.steer(id, Steer.RESUME)
    const { state, moves } = await ended(cluster)
    expect(state).toBe(OperationState.DONE)
    expect(moves.every((move) => move.state === MoveState.DONE)).toBe(true)
    expectWhole(cluster, 2)
    await cluster.stop(never.forced)
  })

  test('goes on when leaders change', async () => {
    const cluster = await start({ shards: 1, partitionsPerMoveMax: 64 })
    const id = await halfway(cluster, 2)
    for (const name of ['shard-1/node-1', 'shard-2/node-1']) world.kill(name)
    expect((await ended(cluster)).id).toBe(id)
    expectWhole(cluster, 2)
    await cluster.stop(never.forced)
  })
})

describe('a shard that has lost what it owned', () => {
  test('is not given it again, empty', async () => {
    await (await start({ shards: 2 })).stop(never.forced)
    const shard = world.shard(2)
    shard.ownershipEpoch = 0n
    for (const row of shard.partitions.rows) Object.assign(row, { state: PartitionState.NONE, epoch: 0n, whole: false })
    await expect(start()).rejects.toThrow('shard-2 knows nothing of the partitions that it has owned: its data is gone')
  })
})
