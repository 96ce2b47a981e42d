import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { Condition, type Operation, OperationState } from '../wire/control.js'
import { decodeLease, LEASE_KEY } from './lease-record.js'
import { FakeWorld } from './testing/fake-world.js'
import { ended, expectWhole } from './testing/scale-scene.js'
import { die, type Member, of, registriesOfFirst, Several, stop, until } from './testing/several-scene.js'

let folder: string
let world: FakeWorld
let several: Several

function fresh(): void {
  folder = mkdtempSync(join(tmpdir(), 'kvorum-several-'))
  world = new FakeWorld()
  several = new Several(folder, world)
}

beforeEach(fresh)
afterEach(() => {
  vi.restoreAllMocks()
  rmSync(folder, { recursive: true, force: true })
})

describe('two orchestrators of one data directory', () => {
  test('one runs the nodes; the other one says what it says, and does what it does', async () => {
    const first = await several.found(2, 1024)
    const second = await several.join(first, 1024)
    expect([of(first).role, of(second).role]).toEqual(['holder', 'standby'])
    expect(of(second).maps.current()).toEqual(of(first).maps.current())
    expect(of(second).shape).toMatchObject({ shards: 2, replicas: 1 })
    const { groups } = await of(second).control.status()
    expect(groups.flatMap(({ nodes }) => nodes.map(({ condition }) => condition))).toEqual(
      groups.map(() => Condition.UP),
    )
    const drain = { node: 'shard-1/node-1', machine: '', undo: false, dryRun: false }
    await expect(of(second).control.drain(drain)).rejects.toThrow('shard-1 would have nobody left who may lead it')
    expect(await of(second).control.drain({ ...drain, undo: true })).toEqual({ nodes: ['shard-1/node-1'], moves: [] })
    await of(second).control.scale(3, false)
    expect((await ended(of(second))).state).toBe(OperationState.DONE)
    await until('the map of three shards', () => of(second).maps.current().shards.length === 3)
    expectWhole(world, of(second), 3)
    expect(await stop(second)).toEqual({ nodes: 'left', to: first.address })
    expect(world.running.size).toBe(4)
    expect(await stop(first)).toEqual({ nodes: 'stopped' })
    expect(world.running.size).toBe(0)
  })

  test('the one that runs the nodes ends: the other one has them; the last one stops them', async () => {
    const first = await several.found(2, 1024)
    const second = await several.join(first, 1024)
    await until('the second one to stand by', async () => (await of(second).control.operations()) !== undefined)
    const processes = [...world.running]
    expect(await stop(first)).toEqual({ nodes: 'left', to: second.address })
    first.gone.abort()
    await until('the second one to run the nodes', () => of(second).role === 'holder')
    expect([...world.running]).toEqual(processes)
    // Whoever reads its log knows that it routed, to whom, and since when it does more.
    const said = several.told.filter(({ pid, name }) => pid === second.pid && name.startsWith('control.'))
    expect(said).toContainEqual({
      ...{ pid: second.pid, name: 'control.follows' },
      event: { holder: first.address, reason: 'this one routes, and takes over when that one goes' },
    })
    expect(said.filter(({ name }) => name === 'control.taken')).toMatchObject([{ event: { from: first.address } }])
    await of(second).control.scale(1, false)
    expect((await ended(of(second))).state).toBe(OperationState.DONE)
    expect(await stop(second)).toEqual({ nodes: 'stopped' })
    expect(world.running.size).toBe(0)
  })

  test('one without the data routes only: it takes nothing over, and the nodes stop with the other one', async () => {
    const first = await several.found(1, 1024)
    const elsewhere = mkdtempSync(join(tmpdir(), 'kvorum-elsewhere-'))
    try {
      const second = await several.join(first, 1024, elsewhere)
      expect(of(second).role).toBe('router')
      expect((await of(second).control.status()).groups).toHaveLength(2)
      expect(await stop(first)).toEqual({ nodes: 'stopped' })
      expect(world.running.size).toBe(0)
      await stop(second)
    } finally {
      rmSync(elsewhere, { recursive: true })
    }
  })

  test('one that hangs keeps the lock: the other one takes the lease, and the nodes as soon as it goes on', async () => {
    const first = await several.found(2, 1024)
    const second = await several.join(first, 1024)
    const processes = [...world.running]
    let goOn = (): void => {}
    const paused = new Promise<void>((resolve) => {
      goOn = resolve
    })
    first.pass = () => paused
    first.gone.abort()
    const term = () => decodeLease({ value: world.meta.get(LEASE_KEY)?.value, version: 1n }).record?.term
    await until('the lease to be taken', () => term() === 2)
    expect([of(first).role, of(second).role]).toEqual(['holder', 'standby'])
    first.gone = new AbortController()
    goOn()
    await until('the nodes to be taken over', () => of(second).role === 'holder')
    expect(of(first).role).toBe('standby')
    expect([...world.running]).toEqual(processes)
    await of(first).control.scale(1, false)
    expect((await ended(of(first))).state).toBe(OperationState.DONE)
    expectWhole(world, of(second), 1)
    await stop(first)
    expect(await stop(second)).toEqual({ nodes: 'stopped' })
  })

  test('without a holder the other one still tells of nodes and operations', async () => {
    const registries = registriesOfFirst(several)
    const first = await several.found(1, 1024)
    const elsewhere = mkdtempSync(join(tmpdir(), 'kvorum-elsewhere-'))
    try {
      const second = await several.join(first, 1024, elsewhere)
      await of(first).control.scale(2, false)
      const { id } = await ended(of(first))
      await die(first, registries)
      await until('the nodes', async () => (await of(second).control.status()).groups.length === 3)
      expect((await of(second).control.operations()).map((one: Operation) => one.id)).toEqual([id])
      await expect(of(second).control.scale(1, false)).rejects.toMatchObject({
        code: 'UNAVAILABLE',
        outcome: 'not-applied',
      })
      await stop(second)
    } finally {
      rmSync(elsewhere, { recursive: true })
    }
  })
})

describe('a holder that dies', () => {
  test.each([
    { from: 1, to: 2, outlives: true },
    { from: 2, to: 1, outlives: false },
  ])(
    'at any step from $from to $to shards is followed by the one that stands by',
    async ({ from, to, outlives }) => {
      const met = new Set<string>()
      for (let at = 1; ; at++) {
        rmSync(folder, { recursive: true, force: true })
        fresh()
        world.imports.outlives = outlives
        const how = await diesAt(at, from, to)
        if (how === undefined) break
        met.add(how.split(' ')[0] ?? '')
      }
      for (const step of ['meta', 'import', 'heard', 'setMap', 'partitions']) expect([...met]).toContain(step)
    },
    300_000,
  )

  /** Scales, and ends the holder for good just before its effect number `at`: says which. Undefined: there are no so many. */
  async function diesAt(at: number, from: number, to: number): Promise<string | undefined> {
    const registries = registriesOfFirst(several)
    const first: Member = await several.found(from, 1024)
    const second = await several.join(first, 1024)
    let left = at
    const dead = new Promise<string>((resolve) => {
      first.pass = async (what) => {
        if (!/^(?:status|watch|find|meta get|lease)/.test(what)) left--
        if (left > 0) return
        resolve(what)
        await new Promise(() => {})
      }
    })
    // Asked of the one that stands by, and watched there from holder to holder.
    const asked = of(second)
      .control.scale(to, false)
      .then(() => ended(of(second)))
    asked.catch(() => {})
    const how = await Promise.race([dead, asked])
    if (typeof how !== 'string') {
      left = Number.POSITIVE_INFINITY
      await stop(second)
      await stop(first)
      vi.restoreAllMocks()
      return undefined
    }
    await die(first, registries)
    vi.restoreAllMocks()
    await until(`a holder after ${how}`, () => of(second).role === 'holder')
    const [operation] = await of(second).control.operations()
    const state = operation === undefined ? undefined : (await ended(of(second))).state
    expect([undefined, OperationState.DONE], how).toContain(state)
    expectWhole(world, of(second), state === undefined ? from : to)
    expect(await stop(second), how).toEqual({ nodes: 'stopped' })
    return how
  }
})
