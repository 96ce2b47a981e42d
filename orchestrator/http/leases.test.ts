import { expect, test } from 'vitest'
import type { LeaseStore } from '../core/lease.js'
import { LeaseNotFoundError } from '../errors/index.js'
import { inJson, serving } from './testing/serving.js'
import { MapStore } from './testing/stores.js'

/** A Store that has leases, which live for ever. */
class LeasedStore extends MapStore implements LeaseStore {
  readonly granted = new Map<string, number>()

  get leases(): LeaseStore {
    return this
  }

  async grantLease(id: Uint8Array, ttlMs: number): Promise<void> {
    this.granted.set(Buffer.from(id).toString('hex'), ttlMs)
  }

  async keepAlive(id: Uint8Array): Promise<number> {
    const ttlMs = this.granted.get(Buffer.from(id).toString('hex'))
    if (ttlMs === undefined) throw new LeaseNotFoundError('gone', { outcome: 'not-applied' })
    return ttlMs
  }

  async revokeLease(id: Uint8Array): Promise<boolean> {
    return this.granted.delete(Buffer.from(id).toString('hex'))
  }
}

const post = (value?: unknown) => ({ method: 'POST', ...(value === undefined ? {} : inJson(value)) })

test('a lease is made, kept alive and revoked', async () => {
  const store = new LeasedStore()
  const { ask } = await serving(store)
  const made = await ask('/v1/leases', post({ ttl_ms: 5_000 }))
  expect(made.status).toBe(201)
  const { lease, ttl_ms } = (await made.json()) as { lease: string; ttl_ms: number }
  expect([lease.length, ttl_ms, store.granted.get(lease)]).toEqual([32, 5_000, 5_000])
  const kept = await ask(`/v1/leases/${lease.toUpperCase()}/keep-alive`, post())
  expect([kept.status, await kept.json()]).toEqual([200, { ttl_ms: 5_000 }])
  const revoke = async () => (await ask(`/v1/leases/${lease}`, { method: 'DELETE' })).json()
  expect([await revoke(), await revoke()]).toEqual([{ existed: true }, { existed: false }])
  const lost = await ask(`/v1/leases/${lease}/keep-alive`, post())
  expect([lost.status, await lost.json()]).toMatchObject([404, { code: 'LEASE_NOT_FOUND' }])
})

test('what is no lease is refused', async () => {
  const { ask } = await serving(new LeasedStore())
  for (const bad of [{}, { ttl_ms: 999 }, { ttl_ms: '5' }, { ttl_ms: 5_000, more: 1 }]) {
    expect((await ask('/v1/leases', post(bad))).status).toBe(400)
  }
  for (const bad of ['x', '0'.repeat(32), 'AB'.repeat(15)]) {
    expect((await ask(`/v1/leases/${bad}`, { method: 'DELETE' })).status).toBe(400)
    const refused = await ask(`/key/k?lease=${bad}`, { method: 'PUT', ...inJson({ value: 'v' }) })
    expect(refused.status).toBe(400)
    expect(await refused.json()).toMatchObject({ detail: expect.stringMatching(/32 hexadecimal digits/) })
  }
  expect((await ask(`/v1/leases/${'ab'.repeat(16)}`, { method: 'GET' })).status).toBe(405)
  const other = await serving(new MapStore())
  expect((await other.ask('/v1/leases', post({ ttl_ms: 5_000 }))).status).toBe(501)
})

test('a put names its lease, by itself, in a batch and in a transaction', async () => {
  const store = new MapStore()
  const seen: unknown[] = []
  const perform = store.perform.bind(store)
  store.perform = (operation, ...rest) => {
    if (operation.kind === 'put') seen.push(operation.lease)
    if (operation.kind === 'transaction') seen.push(...operation.then.map((step) => 'lease' in step && step.lease))
    perform(operation, ...rest)
  }
  const { ask } = await serving(store)
  const lease = 'ab'.repeat(16)
  await ask(`/key/k?lease=${lease.toUpperCase()}`, { method: 'PUT', ...inJson({ value: 'v' }) })
  await ask('/v1/batch', post({ operations: [{ op: 'put', key: 'k', value: 'v', lease: lease.toUpperCase() }] }))
  // biome-ignore lint/suspicious/noThenProperty: a word of the API.
  await ask('/v1/txn', post({ then: [{ op: 'put', key: 'k', value: 'v', lease }] }))
  expect(seen).toEqual(Array(3).fill(Buffer.from(lease, 'hex')))
})
