import { isLeaseId, LEASE_TTL_MS_MIN } from '../core/lease.js'
import { TTL_MS_MAX } from '../core/operation.js'
import { invalidArgument, type KvError } from '../errors/index.js'

/** What is wrong with a lease, if anything; without a time to live: with its id. */
export function faultOfLease(id: Uint8Array, ttlMs?: number): KvError | undefined {
  if (!isLeaseId(id)) return invalidArgument("a lease's id has 16 bytes, not all 0")
  if (ttlMs === undefined || (Number.isInteger(ttlMs) && ttlMs >= LEASE_TTL_MS_MIN && ttlMs <= TTL_MS_MAX)) {
    return undefined
  }
  return invalidArgument(
    `a lease's time to live is a whole number of ms from ${LEASE_TTL_MS_MIN} to ${TTL_MS_MAX} (10 years), not ${ttlMs}`,
  )
}
