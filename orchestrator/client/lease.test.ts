import { describe, expect, test } from 'vitest'
import { MapCell } from '../core/map-source.js'
import type { Operation, Result } from '../core/operation.js'
import { seededRng } from '../core/rng.js'
import { PARTITIONS } from '../core/slot.js'
import { ManualClock } from '../core/testing/manual-clock.js'
import { makeClusterMap } from '../core/topology.js'
import { LeaseNotFoundError, UnavailableError } from '../errors/index.js'
import { KvClient } from './kv-client.js'
import { type Lease, Leases } from './lease.js'
import { LeaseHold } from './lease-hold.js'
import { FakeCluster } from './testing/fake-cluster.js'

async function withClient(mode: 'direct' | 'gateway', work: (kv: KvClient) => Promise<void>) {
  const cluster = await FakeCluster.start({})
  const kv = await KvClient.connect({ endpoints: [cluster.gateway.address], mode })
  try {
    await work(kv)
  } finally {
    await kv.close({ drainMs: 0 })
    await cluster.close()
  }
}

test.each(['direct', 'gateway'] as const)('leases, %s', (mode) =>
  withClient(mode, async (kv) => {
    const lease = await kv.lease.grant({ ttlMs: 30_000 })
    expect(lease.id).toMatch(/^[0-9a-f]{32}$/)
    await kv.put('k', 'v', { lease })
    expect(await kv.batch().put('b', 'v', { lease: lease.id }).run()).toEqual([{ version: 1n }])
    expect(await lease.keepAlive()).toBe(30_000)
    const same = kv.lease.of(lease.id.toUpperCase())
    expect(same.id).toBe(lease.id)
    await kv.put('k', 'v', { lease: lease.id.toUpperCase() })
    expect(await same.keepAlive()).toBe(30_000)
    expect(await same.revoke()).toBe(true)
    expect([await kv.get('k'), await kv.get('b')]).toEqual([null, null])
    expect(await lease.revoke()).toBe(false)
    await expect(lease.keepAlive()).rejects.toBeInstanceOf(LeaseNotFoundError)
    await expect(kv.put('k', 'v', { lease })).rejects.toMatchObject({ code: 'LEASE_NOT_FOUND', outcome: 'not-applied' })
  }),
)

test('mistakes of the program', () =>
  withClient('direct', async (kv) => {
    for (const bad of [undefined, {}, { ttlMs: '5s' }, { ttlMs: 5_000, ttl: 5 }, { ttlMs: 5_000, signal: 5 }]) {
      await expect(kv.lease.grant(bad as never)).rejects.toBeInstanceOf(TypeError)
    }
    for (const bad of ['', 'x'.repeat(32), '0'.repeat(32), 5]) {
      expect(() => kv.lease.of(bad as string)).toThrow(TypeError)
      await expect(kv.put('k', 'v', { lease: bad as string })).rejects.toBeInstanceOf(TypeError)
    }
    const lease = kv.lease.of('ab'.repeat(16))
    expect(() => lease.hold({ signal: 5 } as never)).toThrow(TypeError)
    expect(() => lease.hold({ every: 5 } as never)).toThrow(/has no option/)
    await expect(kv.lease.grant({ ttlMs: 999 })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  }))

test('the end of the client ends what keeps its leases alive', async () => {
  let signal: AbortSignal | undefined
  await withClient('direct', async (kv) => {
    signal = (await kv.lease.grant({ ttlMs: 30_000 })).hold().signal
    expect(signal.aborted).toBe(false)
  })
  expect(signal?.reason).toMatchObject({ code: 'CANCELLED' })
})

const TTL_MS = 9_000

/** A hold of a lease that answers as the test says. */
function holding(signal?: AbortSignal) {
  const clock = new ManualClock()
  const answers: ((answer: number | Error) => void)[] = []
  let ended = 0
  const keepAlive = () =>
    new Promise<number>((resolve, reject) => {
      answers.push((answer) => (typeof answer === 'number' ? resolve(answer) : reject(answer)))
    })
  const hold = new LeaseHold({ keepAlive } as unknown as Lease, {
    clock,
    aliveUntil: clock.monotonic() + TTL_MS,
    signal,
    ended: () => ended++,
  })
  hold.begin()
  const answer = async (with_: number | Error) => {
    answers.at(-1)?.(with_)
    for (let turn = 0; turn < 10; turn++) await Promise.resolve()
  }
  const later = async (ms: number) => {
    clock.advance(ms)
    for (let turn = 0; turn < 10; turn++) await Promise.resolve()
  }
  return { hold, answers, answer, later, ended: () => ended, clock }
}

test('a hold counts from the last keep-alive of the lease, not from its grant', async () => {
  const clock = new ManualClock()
  const owners = Array.from({ length: PARTITIONS }, () => 1)
  const shards = [{ id: 1, nodes: [{ id: 'n', address: 'a:1' }] }]
  const maps = new MapCell(makeClusterMap({ clusterId: 'c', epoch: 1n, owners, shards }))
  const execute = async ({ kind }: Operation) => ({ kind, ttlMs: TTL_MS }) as Result
  const leases = new Leases({ pages: { maps, clock, execute }, clock, rng: seededRng(1), deadlineMs: 1_000 })
  const lease = await leases.grant({ ttlMs: TTL_MS })
  clock.advance(TTL_MS - 1)
  await lease.keepAlive()
  clock.advance(TTL_MS - 1)
  const first = lease.hold()
  expect(first.signal.aborted).toBe(false)
  await first.stop()
  clock.advance(TTL_MS - 1)
  const second = lease.hold()
  expect(second.signal.aborted).toBe(false)
  await second.stop()
  clock.advance(TTL_MS)
  expect(lease.hold().signal.reason).toMatchObject({ code: 'LEASE_NOT_FOUND' })
  await leases.close()
})

const DOWN = new UnavailableError('down', { outcome: 'not-applied' })

describe('a hold', () => {
  test('asks three times in the time of the lease, and goes on', async () => {
    const { hold, answers, answer, later } = holding()
    for (let round = 1; round < 20; round++) {
      expect(answers).toHaveLength(round)
      await answer(TTL_MS)
      await later(TTL_MS / 3 - 1)
      expect(answers).toHaveLength(round)
      await later(1)
    }
    expect(hold.signal.aborted).toBe(false)
    await answer(TTL_MS)
    await hold.stop()
  })

  test('tells of the loss when a shard says so', async () => {
    const { hold, answer, ended } = holding()
    const gone = new LeaseNotFoundError('gone', { outcome: 'not-applied' })
    await answer(gone)
    expect([hold.signal.reason, ended()]).toEqual([gone, 1])
  })

  test('tells of the loss when no shard has been heard for its time, counted from the last call that was answered', async () => {
    const { hold, answer, later } = holding()
    await later(1_000)
    await answer(TTL_MS)
    await later(TTL_MS - 1_001)
    expect(hold.signal.aborted).toBe(false)
    await answer(DOWN)
    await later(1)
    expect(hold.signal.reason).toMatchObject({ code: 'LEASE_NOT_FOUND' })
    await hold.stop()
  })

  test('tries again after a failure, more often when little time is left', async () => {
    const { hold, answers, answer, later } = holding()
    await answer(DOWN)
    await later(250)
    expect(answers).toHaveLength(2)
    await later(TTL_MS - 450)
    await answer(DOWN)
    await later(20)
    expect(answers).toHaveLength(3)
    await answer(TTL_MS)
    await later(TTL_MS / 3 - 1)
    expect([answers.length, hold.signal.aborted]).toEqual([3, false])
    await hold.stop()
  })

  test('is stopped by its owner, or by a signal, and leaves no timer', async () => {
    const over = new AbortController()
    for (const { hold, answer, ended, clock } of [holding(), holding(over.signal), holding(AbortSignal.abort())]) {
      over.abort()
      const stopping = hold.stop()
      await answer(DOWN)
      await stopping
      expect([hold.signal.reason.code, ended(), clock.pending]).toEqual(['CANCELLED', 1, 0])
    }
  })
})
