/**
 * Something done with the parts of a lease in some partitions of one shard. WRONG_SHARD, if the shard does not own all of them, is
 * for who chose them to answer.
 */
export type LeaseOperation = GrantLeaseOperation | KeepAliveOperation | RevokeLeaseOperation

interface Parts {
  /** Any key: the shard's leader is looked for with it. */
  readonly key: Uint8Array
  /** 16 bytes. */
  readonly lease: Uint8Array
  readonly shard: number
  /** Bit p % 8 of byte p / 8 is partition p. */
  readonly partitions: Uint8Array
}

export interface GrantLeaseOperation extends Parts {
  readonly kind: 'grant-lease'
  /** How long the lease lives without a keep-alive, ms, LEASE_TTL_MS_MIN to TTL_MS_MAX. */
  readonly ttlMs: number
}

/** Renews all of the parts, or none: LEASE_NOT_FOUND. Safe to repeat. */
export interface KeepAliveOperation extends Parts {
  readonly kind: 'keep-alive'
}

export interface RevokeLeaseOperation extends Parts {
  readonly kind: 'revoke-lease'
}

export type LeaseResult = GrantLeaseResult | KeepAliveResult | RevokeLeaseResult

export interface GrantLeaseResult {
  readonly kind: 'grant-lease'
}

export interface KeepAliveResult {
  readonly kind: 'keep-alive'
  /** How long it lives from then on. */
  readonly ttlMs: number
}

export interface RevokeLeaseResult {
  readonly kind: 'revoke-lease'
  /** Something of it was there. */
  readonly existed: boolean
  /** Keys of it are left: ask again until none are. */
  readonly more: boolean
}

/** A Store, for those who ask it for leases. Calls reject with a KvError. */
export interface LeaseStore {
  grantLease(id: Uint8Array, ttlMs: number, options: LeaseOptions): Promise<void>
  /** Gives how long it lives from the call on. LEASE_NOT_FOUND: it is lost, in whole or in part. */
  keepAlive(id: Uint8Array, options: LeaseOptions): Promise<number>
  /** Ends it and deletes its keys; whether there was anything of it. */
  revokeLease(id: Uint8Array, options: LeaseOptions): Promise<boolean>
}

export interface LeaseOptions {
  readonly deadlineMs: number
  readonly signal?: AbortSignal | undefined
}

/** Each keep-alive costs an entry in every shard; the nodes have the same limit (node-go/fsm). */
export const LEASE_TTL_MS_MIN = 1000
const LEASE_ID_BYTES = 16

/** An id as people and programs hand it on: 32 hexadecimal digits, in lower case. */
export function leaseText(id: Uint8Array): string {
  return Buffer.from(id).toString('hex')
}

/** An id as a text, in either case; all 0 is none. Without flags: it is told as a pattern, too. */
export const LEASE_ID: RegExp = /^(?!0{32}$)[0-9a-fA-F]{32}$/

/** Undefined for what is none. */
export function leaseBytes(text: string): Uint8Array | undefined {
  const id = LEASE_ID.test(text) ? Buffer.from(text, 'hex') : undefined
  return id && isLeaseId(id) ? id : undefined
}

export function isLeaseId(id: Uint8Array): boolean {
  return id.length === LEASE_ID_BYTES && id.some((byte) => byte !== 0)
}
