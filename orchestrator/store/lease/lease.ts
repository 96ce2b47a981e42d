import type { LeaseOptions } from '../../core/lease.js'
import { ANY_KEY } from '../../core/operation.js'
import { DeadlineExceededError, type KvError } from '../../errors/index.js'
import type { PageSource, Patience } from '../scan/pages.js'
import { faultOfLease } from '../validate-lease.js'
import { walkParts } from './walk.js'

/**
 * What was made of a lease whose grant has failed ends after so long: nobody has its id, and shards have room for so many only. So a lease
 * that is to live for longer does when every shard has its parts.
 */
const TRIAL_MS = 60_000

/** Makes a lease: its parts in all partitions. One that was not made everywhere ends by itself. */
export async function grantLease(from: PageSource, lease: Uint8Array, ttlMs: number, options: LeaseOptions) {
  check(faultOfLease(lease, ttlMs))
  const began = from.clock.monotonic()
  const patience = patienceOf(from, { ...options, deadlineMs: Math.min(options.deadlineMs, ttlMs) })
  const times = ttlMs > TRIAL_MS ? [TRIAL_MS, ttlMs] : [ttlMs]
  const grants = times.map((ms) => (shard: number, partitions: Uint8Array) => {
    return { kind: 'grant-lease', key: ANY_KEY, lease, ttlMs: ms, shard, partitions } as const
  })
  await walkParts(from, grants, () => 'done', patience)
  inTime(from, began, ttlMs)
}

/** Renews the parts in all partitions. Gives how long the lease lives, counted from the call. */
export async function keepAlive(from: PageSource, lease: Uint8Array, options: LeaseOptions): Promise<number> {
  check(faultOfLease(lease))
  const began = from.clock.monotonic()
  let ttlMs = Number.POSITIVE_INFINITY
  const parts = { kind: 'keep-alive', key: ANY_KEY, lease } as const
  await walkParts(
    from,
    [(shard, partitions) => ({ ...parts, shard, partitions })],
    (result) => {
      if (result.kind === 'keep-alive') ttlMs = Math.min(ttlMs, result.ttlMs)
      return 'done'
    },
    patienceOf(from, options),
  )
  inTime(from, began, ttlMs)
  return ttlMs
}

/** Ends the parts in all partitions, and returns when their keys are deleted. */
export async function revokeLease(from: PageSource, lease: Uint8Array, options: LeaseOptions): Promise<boolean> {
  check(faultOfLease(lease))
  let existed = false
  const parts = { kind: 'revoke-lease', key: ANY_KEY, lease } as const
  await walkParts(
    from,
    [(shard, partitions) => ({ ...parts, shard, partitions })],
    (result) => {
      if (result.kind !== 'revoke-lease') return 'done'
      existed ||= result.existed
      return result.more ? 'again' : 'done'
    },
    patienceOf(from, options),
  )
  return existed
}

function check(fault: KvError | undefined): void {
  if (fault !== undefined) throw fault
}

function patienceOf({ clock }: PageSource, { deadlineMs, signal }: LeaseOptions): Patience {
  return { until: clock.monotonic() + deadlineMs, signal: signal ?? new AbortController().signal }
}

/** What one shard was told at the beginning may be over when the last one is told. */
function inTime({ clock }: PageSource, began: number, ttlMs: number): void {
  const tookMs = clock.monotonic() - began
  if (tookMs < ttlMs) return
  const message = `it took ${Math.round(tookMs)} ms to reach all shards, longer than the lease lives`
  throw new DeadlineExceededError(message, { outcome: 'unknown' })
}
