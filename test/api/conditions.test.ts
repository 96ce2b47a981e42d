// Conditions, sums and previous values on a real cluster, by every way of KvClient: what the README says of them.
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { KvClient } from '../../orchestrator/client/index.js'
import { PREVIOUS_BYTES_MAX } from '../../orchestrator/core/operation.js'
import { NotANumberError, OverflowError, PreconditionFailedError } from '../../orchestrator/errors/index.js'
import { Cluster } from '../harness/cluster.js'

const LOOPS = 8
const ROUNDS = 25

let cluster: Cluster
beforeAll(async () => {
  cluster = await Cluster.start({ shards: 2, replicas: 3 })
})
afterAll(() => cluster?.dispose())

const clients: KvClient[] = []
afterEach(async () => {
  for (const client of clients.splice(0)) await client.close()
})

async function connect(mode: 'direct' | 'gateway' | 'auto'): Promise<KvClient> {
  const client = await KvClient.connect({ endpoints: [cluster.address], mode })
  clients.push(client)
  return client
}

const failureOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  )

describe.each(['direct', 'gateway', 'auto'] as const)('mode %s', (mode) => {
  test('a new cluster has all of it from the beginning', async () => {
    const kv = await connect(mode)
    const key = (name: string): string => `${mode}/${name}`
    expect(await kv.put(key('lock'), 'me', { ifAbsent: true })).toMatchObject({ version: expect.any(BigInt) })
    const refused = await failureOf(kv.put(key('lock'), 'you', { ifAbsent: true }))
    expect(refused).toBeInstanceOf(PreconditionFailedError)
    const { version, previous } = await kv.put(key('lock'), 'you', { returnPrevious: true })
    expect(previous?.text()).toBe('me')
    expect(refused).toMatchObject({ outcome: 'not-applied', version: previous?.version })
    expect(version).toBe((previous?.version ?? 0n) + 1n)
    expect(await failureOf(kv.delete(key('lock'), { ifVersion: version - 1n }))).toMatchObject({ version })
    const gone = await kv.delete(key('lock'), { ifVersion: version, returnPrevious: true })
    expect([gone.existed, gone.previous?.text(), gone.previous?.version]).toEqual([true, 'you', version])
    expect((await kv.put(key('lock'), 'again')).version).toBeGreaterThan(version)

    await kv.compareAndSet(key('state'), null, 'idle')
    await kv.compareAndSet(key('state'), 'idle', 'busy')
    expect(await failureOf(kv.compareAndSet(key('state'), 'idle', 'busy'))).toBeInstanceOf(PreconditionFailedError)
    expect(await failureOf(kv.compareAndSet(key('state'), null, 'busy'))).toBeInstanceOf(PreconditionFailedError)

    expect(await kv.increment(key('visits'))).toBe(1n)
    expect(await kv.increment(key('visits'), -5n)).toBe(-4n)
    await kv.put(key('visits'), `${2n ** 63n - 1n}`)
    expect(await failureOf(kv.increment(key('visits')))).toBeInstanceOf(OverflowError)
    expect(await kv.increment(key('visits'), -(2n ** 63n))).toBe(-1n)
    expect(await failureOf(kv.increment(key('state')))).toBeInstanceOf(NotANumberError)
  })

  test('what is too large to be given back stays', async () => {
    const kv = await connect(mode)
    const key = `${mode}/large`
    const fits = Buffer.alloc(PREVIOUS_BYTES_MAX, 'x')
    await kv.put(key, fits)
    const { previous } = await kv.put(key, Buffer.alloc(PREVIOUS_BYTES_MAX + 1, 'y'), { returnPrevious: true })
    expect(Buffer.compare(previous?.value ?? Buffer.alloc(0), fits)).toBe(0)
    const before = await kv.get(key)
    for (const write of [kv.put(key, 'z', { returnPrevious: true }), kv.delete(key, { returnPrevious: true })]) {
      expect(await failureOf(write)).toMatchObject({ code: 'TOO_LARGE', outcome: 'not-applied' })
    }
    expect((await kv.get(key))?.version).toBe(before?.version)
    const half = Buffer.alloc((1 << 19) + 1)
    expect(await failureOf(kv.compareAndSet(key, half, half))).toMatchObject({ code: 'TOO_LARGE' })
  })

  test('many values are given back at once, in as many messages as they need', async () => {
    const kv = await connect(mode)
    const keys = Array.from({ length: 600 }, (_, at) => `${mode}/many/${at}`)
    const value = Buffer.alloc(PREVIOUS_BYTES_MAX, 'v')
    await Promise.all(keys.map((key) => kv.put(key, value)))
    const taken = await Promise.all(keys.map((key) => kv.delete(key, { returnPrevious: true, deadlineMs: 30_000 })))
    expect(taken.every(({ existed, previous }) => existed && previous?.value.length === PREVIOUS_BYTES_MAX)).toBe(true)
  })

  test('who competes loses no update', async () => {
    const kv = await connect(mode)
    const [sum, state] = [`${mode}/sum`, `${mode}/swapped`]
    await kv.put(state, '0')
    const swap = async (): Promise<void> => {
      for (let left = ROUNDS; left > 0; ) {
        const now = (await kv.get(state))?.text() ?? ''
        const failure = await failureOf(kv.compareAndSet(state, now, `${Number(now) + 1}`))
        if (failure === undefined) left--
        else expect(failure).toBeInstanceOf(PreconditionFailedError)
      }
    }
    const add = async (): Promise<void> => {
      for (let round = 0; round < ROUNDS; round++) await kv.increment(sum, 2n)
    }
    await Promise.all(Array.from({ length: LOOPS }, (_, at) => (at % 2 === 0 ? swap() : add())))
    expect((await kv.get(sum))?.text()).toBe(`${LOOPS * ROUNDS}`)
    expect((await kv.get(state))?.text()).toBe(`${(LOOPS / 2) * ROUNDS}`)
  })
})
