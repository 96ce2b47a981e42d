// Leases: owners of many keys, which are deleted with them.
import { leaseText } from '../core/lease.js'
import { systemRng } from '../core/rng.js'
import { type Answer, json } from './answer.js'
import { noCondition, noIdempotencyKey } from './conditions.js'
import { AROUND_BYTES } from './keys.js'
import { Grant, Granted, KeptAlive, LEASE_GONE, leaseFrom, Revoked } from './lease-schemas.js'
import { type Route, route } from './route.js'
import { WriteQuery } from './schemas.js'

const PATH = '/v1/leases'
const LEASE = `${PATH}/{lease}`
const GONE = { 404: LEASE_GONE }

const grant = route({
  id: 'grantLease',
  method: 'POST',
  paths: [PATH],
  summary:
    'Makes a lease. Keys are put into it, and deleted when it is revoked, or when nobody has kept it alive for its time.',
  query: WriteQuery,
  body: { schema: Grant, bytesMax: () => AROUND_BYTES, lax: false },
  asks: 'store',
  writes: true,
  answers: { 201: { description: 'It lives.', schema: Granted } },
  handle: async ({ query, headers, body, signal, hold }, { operations }): Promise<Answer> => {
    noIdempotencyKey(headers)
    noCondition(headers)
    const id = Buffer.from(systemRng.id(), 'hex')
    await operations.grantLease(id, body.ttl_ms, { timeoutMs: query.timeout_ms, signal, hold })
    return json(201, { lease: leaseText(id), ttl_ms: body.ttl_ms })
  },
})

const keepAlive = route({
  id: 'keepAlive',
  method: 'POST',
  paths: [`${LEASE}/keep-alive`],
  summary: 'Has a lease live for its time from now on.',
  query: WriteQuery,
  asks: 'store',
  writes: true,
  answers: { 200: { description: 'It lives.', schema: KeptAlive } },
  problems: GONE,
  handle: async ({ key, query, headers, signal, hold }, { operations }): Promise<Answer> => {
    noIdempotencyKey(headers)
    noCondition(headers)
    const ttlMs = await operations.keepAlive(leaseIn(key), { timeoutMs: query.timeout_ms, signal, hold })
    return json(200, { ttl_ms: ttlMs })
  },
})

const revoke = route({
  id: 'revokeLease',
  method: 'DELETE',
  paths: [LEASE],
  summary: 'Ends a lease, and deletes its keys. One that is gone is no failure.',
  query: WriteQuery,
  asks: 'store',
  writes: true,
  answers: { 200: { description: 'There is nothing of it.', schema: Revoked } },
  handle: async ({ key, query, headers, signal, hold }, { operations }): Promise<Answer> => {
    noIdempotencyKey(headers)
    noCondition(headers)
    const existed = await operations.revokeLease(leaseIn(key), { timeoutMs: query.timeout_ms, signal, hold })
    return json(200, { existed })
  },
})

export const LEASE_ROUTES: readonly Route[] = [grant, keepAlive, revoke]

/** The lease that the path names. */
function leaseIn(segment: Buffer): Uint8Array {
  return leaseFrom(segment.toString('latin1'))
}
