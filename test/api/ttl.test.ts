// Times to live on a real cluster, by every way of KvClient: what the README says of them.
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { KvClient, op } from '../../orchestrator/client/index.js'
import { InvalidArgumentError } from '../../orchestrator/errors/index.js'
import { Cluster } from '../harness/cluster.js'
import { until } from '../harness/wait.js'

/** Much longer than it takes, on a machine that does much else. */
const LATE_MS_MAX = 5_000
const TTL_MS = 400

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

describe.each(['direct', 'gateway', 'auto'] as const)('mode %s', (mode) => {
  test('keys live for their time, not shorter and not much longer', async () => {
    const kv = await connect(mode)
    const names = Array.from({ length: 40 }, (_, at) => `${mode}/k${at}`)
    const began = performance.now()
    const { version } = await kv.put(`${mode}/k0`, 'v', { ttlMs: TTL_MS })
    await Promise.all(names.map((name) => kv.put(name, 'v', { ttlMs: TTL_MS })))
    const left = await kv.ttlOf(`${mode}/k1`)
    expect(left).toBeGreaterThan(0)
    expect(left).toBeLessThanOrEqual(TTL_MS)
    const lives = async (name: string): Promise<number> => {
      await until(`${name} is gone`, async () => (await kv.get(name)) === null, TTL_MS + LATE_MS_MAX)
      return performance.now() - began
    }
    const lived = await Promise.all(names.map(lives))
    expect(Math.min(...lived)).toBeGreaterThanOrEqual(TTL_MS)
    // Gone is gone, and its versions count on.
    for (const name of names) expect(await kv.get(name)).toBeNull()
    expect(await kv.ttlOf(`${mode}/k0`)).toBeNull()
    expect((await kv.put(`${mode}/k0`, 'w', { ifAbsent: true })).version).toBeGreaterThan(version)
    expect(await kv.ttlOf(`${mode}/k0`)).toBeNull()
  })

  test('what keeps, changes and ends a time to live', async () => {
    const kv = await connect(mode)
    const key = `${mode}/life`
    const hour = 3_600_000
    await kv.put(key, '1', { ttlMs: hour })
    await kv.append(key, '2')
    expect(await kv.increment(key)).toBe(13n)
    expect(await kv.ttlOf(key)).toBeGreaterThan(hour - 60_000)
    expect((await kv.get(key))?.ttlMs).toBeGreaterThan(hour - 60_000)
    const { results } = await kv.txn().then(op.get(key)).run()
    expect(results[0]?.ttlMs).toBeGreaterThan(hour - 60_000)
    const { version } = (await kv.get(key)) ?? { version: 0n }
    expect(await kv.touch(key, { ttlMs: 10 * hour })).toBe(true)
    expect(await kv.ttlOf(key)).toBeGreaterThan(9 * hour)
    expect((await kv.get(key))?.version).toBe(version)
    expect(await kv.touch(key)).toBe(true)
    expect(await kv.ttlOf(key)).toBeNull()
    await kv.touch(key, { ttlMs: hour })
    await kv.compareAndSet(key, '13', '14')
    expect(await kv.ttlOf(key)).toBeNull()
    await kv.touch(key, { ttlMs: hour })
    await kv.put(key, '15')
    expect(await kv.ttlOf(key)).toBeNull()
    expect(await kv.touch(`${mode}/absent`, { ttlMs: hour })).toBe(false)
    await expect(kv.put(key, 'v', { ttlMs: 0 })).rejects.toBeInstanceOf(InvalidArgumentError)
  })
})
