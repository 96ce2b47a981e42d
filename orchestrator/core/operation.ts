import type { KeepAliveOperation, LeaseOperation, LeaseResult } from './lease.js'
import { partsOf, payloadOf, readsValues, type TransactionOperation, type TransactionResult } from './transaction.js'

/** What a client asks of one key. The bytes belong to the operation until it is answered: do not change them. */
export type Operation =
  | GetOperation
  | PutOperation
  | DeleteOperation
  | AppendOperation
  | CompareAndSetOperation
  | IncrementOperation
  | TouchOperation
  | TtlOfOperation
  | TransactionOperation
  | OpenSessionOperation
  | PageOperation
  | LeaseOperation

export type WriteOperation = Exclude<
  Operation,
  GetOperation | TtlOfOperation | OpenSessionOperation | PageOperation | KeepAliveOperation
>

export interface GetOperation {
  readonly kind: 'get'
  readonly key: Uint8Array
  /**
   * Any replica may answer, with a state of the key that was current at some moment no earlier than so many ms before the
   * call. Undefined or 0: linearizable.
   */
  readonly staleMs?: number | undefined
}

export interface PutOperation {
  readonly kind: 'put'
  readonly key: Uint8Array
  readonly value: Uint8Array
  /** Applies only if the key's version is this one; 0 means absent. */
  readonly ifVersion?: bigint | undefined
  /** Answers with what it replaces, up to PREVIOUS_BYTES_MAX; applies only if that is no larger. */
  readonly returnPrevious?: boolean | undefined
  /** How long the key lives, ms, 1 to TTL_MS_MAX. Undefined: for ever, whatever it had before. */
  readonly ttlMs?: number | undefined
  /** The lease that the key belongs to, 16 bytes. Undefined: to none, whatever it had before. */
  readonly lease?: Uint8Array | undefined
}

export interface DeleteOperation {
  readonly kind: 'delete'
  readonly key: Uint8Array
  readonly ifVersion?: bigint | undefined
  readonly returnPrevious?: boolean | undefined
}

/** Adds bytes to the end of the value; an absent key is empty. */
export interface AppendOperation {
  readonly kind: 'append'
  readonly key: Uint8Array
  readonly value: Uint8Array
}

/** Puts a value if the key's value is the expected one, byte for byte. */
export interface CompareAndSetOperation {
  readonly kind: 'compare-and-set'
  readonly key: Uint8Array
  /** Undefined: the key must be absent. */
  readonly expected?: Uint8Array | undefined
  readonly value: Uint8Array
}

/** Adds to a number: an int64 in decimal. An absent key is 0. */
export interface IncrementOperation {
  readonly kind: 'increment'
  readonly key: Uint8Array
  readonly by: bigint
}

/** Gives a key another time to live, or none; its value and version stay. */
export interface TouchOperation {
  readonly kind: 'touch'
  readonly key: Uint8Array
  readonly ttlMs?: number | undefined
}

/** Asks how long a key lives. */
export interface TtlOfOperation {
  readonly kind: 'ttl-of'
  readonly key: Uint8Array
}

/** Opens a session in one shard. */
export interface OpenSessionOperation {
  readonly kind: 'open-session'
  readonly key: Uint8Array
  /** 64 random bits. */
  readonly nonce: bigint
  /** How long it lives without a write, ms. */
  readonly expiryMs: number
  /** The shard; 0: the one that owns the key. */
  readonly shard: number
}

/** What some partitions of one shard hold in an interval of keys at one moment. Scans are made of these. */
export interface PageOperation {
  readonly kind: 'page'
  /** Any key: the shard's leader is looked for with it. */
  readonly key: Uint8Array
  /** Who is asked. WRONG_SHARD, if it does not own all of the partitions, is for who chose them to answer. */
  readonly shard: number
  /** Bit p % 8 of byte p / 8 is partition p. */
  readonly partitions: Uint8Array
  /** The first key that may be in it; empty: the first there is. */
  readonly from: Uint8Array
  /** The key before which it ends; empty: behind the last one. */
  readonly to: Uint8Array
  readonly reverse: boolean
  readonly content: PageContent
  /** Entries at most; 0: as many as fit. */
  readonly limit: number
  /** How large it may be, up to PAGE_BYTES_MAX; a first entry may be larger. */
  readonly bytesMax: number
}

/** Will do for a page: a leader says WRONG_SHARD to a key that is not its own, and so that it leads. */
export const ANY_KEY: Uint8Array = Uint8Array.of(0)

export type PageContent = 'entries' | 'keys' | 'count'

export type Result =
  | GetResult
  | PutResult
  | DeleteResult
  | AppendResult
  | CompareAndSetResult
  | IncrementResult
  | TouchResult
  | TtlOfResult
  | TransactionResult
  | OpenSessionResult
  | PageResult
  | LeaseResult

/** What a key was until a write. */
export interface Previous {
  readonly value: Uint8Array
  readonly version: bigint
}

export interface GetResult {
  readonly kind: 'get'
  readonly found: boolean
  /** A view into the message that it came in: copy it if it is to be kept for long. Empty when not found. */
  readonly value: Uint8Array
  readonly version: bigint
  /** What is left of its time to live, ms, if it has one; 0: it is due, and about to be deleted. */
  readonly ttlMs?: number | undefined
}

export interface PutResult {
  readonly kind: 'put'
  readonly version: bigint
  /** If it was asked for and there was one. */
  readonly previous?: Previous | undefined
}

export interface DeleteResult {
  readonly kind: 'delete'
  readonly existed: boolean
  readonly previous?: Previous | undefined
}

export interface AppendResult {
  readonly kind: 'append'
  readonly version: bigint
  /** Of the value now, bytes. */
  readonly length: number
}

export interface CompareAndSetResult {
  readonly kind: 'compare-and-set'
  readonly version: bigint
}

export interface IncrementResult {
  readonly kind: 'increment'
  /** The sum. */
  readonly value: bigint
  readonly version: bigint
}

export interface TouchResult {
  readonly kind: 'touch'
  readonly existed: boolean
}

export interface TtlOfResult {
  readonly kind: 'ttl-of'
  readonly found: boolean
  /** As in GetResult. */
  readonly ttlMs?: number | undefined
}

export interface OpenSessionResult {
  readonly kind: 'open-session'
  readonly id: Uint8Array
}

export interface PageResult {
  readonly kind: 'page'
  /** Views into the message that they came in: copy what is to be kept for long. */
  readonly entries: readonly Entry[]
  /** Of a page that counts. */
  readonly count: number
  /** The next page's `from`, or in reverse its `to`. Undefined: this was the last one. */
  readonly next: Uint8Array | undefined
}

export interface Entry {
  readonly key: Uint8Array
  /** Empty where values are left out. */
  readonly value: Uint8Array
  readonly version: bigint
}

/** Who wrote it, so that a write that is sent twice happens once. The same session and number are the same write. */
export interface Stamp {
  readonly session: SessionRef
  /** A client may use all of uint64; ours are numbers. */
  readonly sequence: number | bigint
}

export interface SessionRef {
  /** 16 bytes, from the shard. */
  readonly id: Uint8Array
  /** No answer to a smaller sequence number is waited for. Only grows. */
  readonly floor: number | bigint
  /** The shard that opened it, and answers for its numbers for ever. 0: nobody said. */
  readonly shard: number
  /** Of the map by which a client took this session; 0 or undefined: it did not say. */
  readonly epoch?: bigint
}

/** Of a session's id. */
export const SESSION_ID_BYTES = 16

/** How far above its session's floor a sequence number may be. The nodes refuse more. */
export const SESSION_WINDOW = 1024

/** Whether the operation changes a key, so that it matters how often it happens. All else is always safe to repeat. */
export function isWrite(operation: Operation): operation is WriteOperation {
  switch (operation.kind) {
    case 'page':
    case 'open-session':
    case 'keep-alive':
      return false
    default:
      return !isRead(operation)
  }
}

/** Whether the operation names the shard that it is for: another one is no answer to it. */
export function isPlaced(operation: Operation): operation is PageOperation | LeaseOperation {
  switch (operation.kind) {
    case 'page':
    case 'grant-lease':
    case 'keep-alive':
    case 'revoke-lease':
      return true
    default:
      return false
  }
}

/**
 * Whether the operation asks for one key. Reads and all else travel in messages of their own: a page takes longer, and no read waits
 * behind one.
 */
export function isRead({ kind }: Pick<Operation, 'kind'>): boolean {
  return kind === 'get' || kind === 'ttl-of'
}

/** Whether any replica may answer it. Such reads wait for other things than the leader's: they travel apart, too. */
export function isStale(operation: Operation): boolean {
  return operation.kind === 'get' && operation.staleMs !== undefined && operation.staleMs > 0
}

/** Whether it is a write whose answer takes room where it is kept: it may hold a value. */
export function returnsPrevious(operation: Operation): boolean {
  if (operation.kind === 'transaction') return true
  return (operation.kind === 'put' || operation.kind === 'delete') && operation.returnPrevious === true
}

/**
 * What holding the operation costs, for budgets: its bytes and a flat part for the objects around them. What a write gives back
 * counts as well, so that no message asks for more than its answer may hold.
 */
export function bytesOf(operation: Operation): number {
  const previous = returnedBytesMax(operation)
  if (operation.kind === 'transaction')
    return payloadOf(operation) + previous + (1 + partsOf(operation)) * OVERHEAD_BYTES
  // What a page asks for counts as well.
  const page = operation.kind === 'page' ? operation.bytesMax : 0
  return operation.key.byteLength + valueBytesOf(operation) + previous + page + OVERHEAD_BYTES
}

/** The most that values in the answer to a write may be. */
export function returnedBytesMax(operation: Operation): number {
  if (operation.kind === 'transaction') return readsValues(operation) ? PREVIOUS_BYTES_MAX : 0
  return returnsPrevious(operation) ? PREVIOUS_BYTES_MAX : 0
}

/** Of all values that the operation carries. */
export function valueBytesOf(operation: Operation): number {
  switch (operation.kind) {
    case 'put':
    case 'append':
      return operation.value.byteLength
    case 'compare-and-set':
      return operation.value.byteLength + (operation.expected?.byteLength ?? 0)
    default:
      return 0
  }
}

/** How long a key may be given to live: 10 years. The nodes have the same limit. */
export const TTL_MS_MAX = 10 * 365 * 24 * 60 * 60 * 1000

/** The largest value that a write gives back, and the most that a transaction does; the nodes have the same limit (node-go/fsm). */
export const PREVIOUS_BYTES_MAX = 16 << 10

/** The largest page, but for its first entry; the nodes have the same limit (node-go/server). */
export const PAGE_BYTES_MAX = 256 << 10

const OVERHEAD_BYTES = 256
