// Leases on a real cluster, by every way of KvClient and over HTTP, while leaders are killed: what the README says of them.
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { KvClient, type Lease } from '../../orchestrator/client/index.js'
import { LeaseNotFoundError } from '../../orchestrator/errors/index.js'
import { Cluster } from '../harness/cluster.js'
import { signal } from '../harness/process.js'
import { until } from '../harness/wait.js'

/** Much longer than it takes, on a machine that does much else. */
const LATE_MS_MAX = 5_000
const TTL_MS = 1_000
const KEYS = 40

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

const namesOf = (prefix: string): string[] => Array.from({ length: KEYS }, (_, at) => `${prefix}/k${at}`)

async function fill(kv: KvClient, names: readonly string[], lease: Lease): Promise<void> {
  await Promise.all(names.map((name) => kv.put(name, 'v', { lease })))
}

describe.each(['direct', 'gateway', 'auto'] as const)('mode %s', (mode) => {
  test('keys live as long as somebody keeps their lease alive, and then end with it', async () => {
    const kv = await connect(mode)
    const names = namesOf(mode)
    const lease = await kv.lease.grant({ ttlMs: TTL_MS })
    await using hold = lease.hold()
    await fill(kv, names, lease)
    const lives = performance.now() + 1.7 * TTL_MS
    while (performance.now() < lives) {
      for (const name of names) expect(await kv.get(name), name).not.toBeNull()
    }
    expect(hold.signal.aborted).toBe(false)
    await kv.put(`${mode}/k0`, 'mine')
    const stopped = performance.now()
    await hold.stop()
    const gone = async () => (await kv.count({ prefix: `${mode}/` })) === 1
    await until('the keys are gone', gone, TTL_MS + LATE_MS_MAX)
    expect(performance.now() - stopped).toBeGreaterThan(TTL_MS / 2)
    expect((await kv.get(`${mode}/k0`))?.text()).toBe('mine')
    await expect(kv.put(`${mode}/k1`, 'v', { lease })).rejects.toBeInstanceOf(LeaseNotFoundError)
    await expect(lease.keepAlive()).rejects.toBeInstanceOf(LeaseNotFoundError)
  })

  test('what is revoked is gone when that is answered, and the holder is told', async () => {
    const kv = await connect(mode)
    const lease = await kv.lease.grant({ ttlMs: 60_000 })
    const names = namesOf(`${mode}/revoked`)
    await fill(kv, names, lease)
    const other = await connect(mode)
    expect(await other.lease.of(lease.id).revoke()).toBe(true)
    expect(await kv.count({ prefix: `${mode}/revoked/` })).toBe(0)
    const { signal: lost } = lease.hold()
    await until('the holder knows', () => Promise.resolve(lost.aborted), LATE_MS_MAX)
    expect(lost.reason).toBeInstanceOf(LeaseNotFoundError)
    expect(await lease.revoke()).toBe(false)
  })
})

test('a lease outlives the leaders of all shards, and ends in time under the next ones', {
  timeout: 60_000,
}, async () => {
  const kv = await connect('direct')
  const [kept, left] = [await kv.lease.grant({ ttlMs: 10_000 }), await kv.lease.grant({ ttlMs: TTL_MS })]
  const hold = kept.hold()
  await fill(kv, namesOf('kept'), kept)
  await fill(kv, namesOf('left'), left)
  for (const shard of [1, 2]) signal((await cluster.leaderOf(shard)).pid, 'SIGKILL')
  await until('the one is gone', async () => (await kv.count({ prefix: 'left/' })) === 0, 30_000)
  expect(await kv.count({ prefix: 'kept/' })).toBe(KEYS)
  expect(hold.signal.aborted).toBe(false)
  await hold.stop()
  expect(await kept.revoke()).toBe(true)
  expect(await kv.count({ prefix: 'kept/' })).toBe(0)
})

test('over HTTP', async () => {
  const ask = async (method: string, path: string, body?: unknown) => {
    const init =
      body === undefined ? {} : { headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) }
    const answer = await fetch(`http://${cluster.httpAddress}${path}`, { method, ...init })
    return [answer.status, await answer.json()]
  }
  const [made, { lease }] = (await ask('POST', '/v1/leases', { ttl_ms: 30_000 })) as [number, { lease: string }]
  expect(made).toBe(201)
  expect(await ask('PUT', `/key/http-leased?lease=${lease}`, { value: 'v' })).toMatchObject([200, {}])
  expect(await ask('POST', `/v1/leases/${lease}/keep-alive`)).toEqual([200, { ttl_ms: 30_000 }])
  expect(await ask('DELETE', `/v1/leases/${lease}`)).toEqual([200, { existed: true }])
  expect((await ask('GET', '/key/http-leased'))[0]).toBe(404)
  expect((await ask('POST', `/v1/leases/${lease}/keep-alive`))[0]).toBe(404)
  expect((await ask('PUT', `/key/http-leased?lease=${lease}`, { value: 'v' }))[0]).toBe(404)
})
