import { z } from 'zod'
import { LEASE_ID, LEASE_TTL_MS_MIN, leaseBytes } from '../core/lease.js'
import { TTL_MS_MAX } from '../core/operation.js'
import { invalidArgument } from '../errors/index.js'
import { named } from './named.js'

export const Grant = named(
  'Grant',
  'How long the lease lives when nobody keeps it alive.',
  z.strictObject({ ttl_ms: z.int().min(LEASE_TTL_MS_MIN).max(TTL_MS_MAX) }),
)
export const Granted = named(
  'Granted',
  'The id of the lease, and how long it lives.',
  z.strictObject({ lease: z.string().regex(LEASE_ID), ttl_ms: z.int() }),
)
export const KeptAlive = named(
  'KeptAlive',
  'How long the lease lives from the request on.',
  z.strictObject({ ttl_ms: z.int() }),
)
export const Revoked = named(
  'Revoked',
  'Whether there was anything of the lease.',
  z.strictObject({ existed: z.boolean() }),
)

export const LEASE_GONE = 'The lease is gone: it was never granted, was revoked, or has expired.'

/** The lease that a text names. */
export function leaseFrom(text: string): Uint8Array {
  const id = leaseBytes(text)
  if (id !== undefined) return id
  throw invalidArgument("a lease's id is 32 hexadecimal digits, not all 0")
}

/** How long a put has its key live. */
export function livesBy({ ttl_ms, lease }: { ttl_ms?: number | undefined; lease?: string | undefined }) {
  return { ttlMs: ttl_ms, lease: lease === undefined ? undefined : leaseFrom(lease) }
}
