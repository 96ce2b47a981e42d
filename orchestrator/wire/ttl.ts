import type { GetResult, PutOperation } from '../core/operation.js'
import type { GetResponse, PutRequest } from './gen/kvorum/v1/kv.js'

/** Most keys have no time to live: those are not copied. */
export function putToWire(put: PutOperation): PutRequest {
  const { ttlMs } = put
  return ttlMs === undefined ? (put as PutOperation & { ttlMs?: undefined }) : { ...put, ttlMs: wide(ttlMs) }
}

/** Whether it ends by itself: a node of a version that knows no such keys must not take it for another put. */
export function isMortal({ ttlMs, lease }: PutOperation): boolean {
  return ttlMs !== undefined || lease !== undefined
}

export function foundToWire(found: GetResult): GetResponse {
  const { ttlMs } = found
  return ttlMs === undefined ? (found as GetResult & { ttlMs?: undefined }) : { ...found, ttlMs: wide(ttlMs) }
}

/** Times to live are uint64 on the wire, and far below what a number holds. */
export function wide(ms: number | undefined): bigint | undefined {
  return ms === undefined ? undefined : BigInt(ms)
}

export function narrow(ms: bigint | undefined): number | undefined {
  return ms === undefined ? undefined : Number(ms)
}
