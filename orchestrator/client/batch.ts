import { type Operation, type Previous, type PutOperation, type Result, returnsPrevious } from '../core/operation.js'
import { describe } from '../core/words.js'
import { KvError } from '../errors/index.js'
import { checkOptions, type Names } from './arguments.js'
import { REQUEST_OPTIONS, type ReadOptions, type RequestOptions } from './front.js'
import { type Lease, leaseOf } from './lease.js'
import { type Bytes, Hit, toBytes } from './values.js'

export interface ConditionOptions {
  /**
   * Applies only if the key's version is this one; 0 means absent. Else PRECONDITION_FAILED, whose `version` is that of the key.
   * A key's version begins at 1 or above, grows by 1 with each write, and never comes again, also after a delete.
   */
  readonly ifVersion?: bigint
  /**
   * Answers with the value that it replaces or removes, as `previous`. One of more than 16,384 bytes stays as it is: TOO_LARGE;
   * `get` it, and write with its version as the condition.
   */
  readonly returnPrevious?: boolean
}

export interface PutConditionOptions extends ConditionOptions {
  /** The same as `ifVersion: 0n`. */
  readonly ifAbsent?: boolean
  /**
   * How long the key lives, ms: 1 to 10 years. It is deleted then, soon after and never before; a moment between the call and its
   * answer counts as the beginning. Without it the key stays, whatever it had before. `append` and `increment` keep the time that a
   * key has; `compareAndSet` ends it.
   */
  readonly ttlMs?: number
  /**
   * The lease that the key belongs to from now on, or its id: the key is deleted with it. LEASE_NOT_FOUND if that is gone. Without it
   * the key belongs to none, whatever it had before. `append`, `increment` and `touch` leave it where it is; `compareAndSet` takes it out.
   */
  readonly lease?: Lease | string
}

export interface TouchOptions {
  /** As of a put; without it the key stays for ever. */
  readonly ttlMs?: number
}

export type BoundOptions = Pick<ReadOptions, 'staleMs'>

export const CONDITION_OPTIONS: Names<ConditionOptions> = { ifVersion: true, returnPrevious: true }
export const TOUCH_OPTIONS: Names<TouchOptions> = { ttlMs: true }
export const PUT_OPTIONS: Names<PutConditionOptions> = {
  ...CONDITION_OPTIONS,
  ...TOUCH_OPTIONS,
  ifAbsent: true,
  lease: true,
}
const BOUND_OPTIONS: Names<BoundOptions> = { staleMs: true }

export interface Stored {
  /** Of the key now. */
  readonly version: bigint
  /** What was replaced, if `returnPrevious` asked for it; null: nothing. */
  readonly previous?: Hit | null
}

export interface Deleted {
  readonly existed: boolean
  readonly previous?: Hit | null
}

export interface Appended {
  readonly version: bigint
  /** Of the value now, bytes. */
  readonly length: number
}

/** What one operation of a batch came to. */
export type BatchResult = Hit | null | Stored | Deleted | Appended | bigint | boolean | number | KvError

/** What a call gives: an increment the sum, a touch whether there was something, ttlOf how long it lives. */
type Reply = Exclude<BatchResult, KvError>

type Execute = (operation: Operation, options?: RequestOptions) => Promise<Result>

/**
 * Operations that are sent together. They are concurrent, and no transaction: each ends for itself, two on one key in
 * either order. The type of `run` follows the chain; for operations added in a loop make it with `batch<BatchResult[]>()`.
 * A key or value that can be none is a TypeError at once.
 */
export class Batch<Results extends readonly BatchResult[] = []> {
  readonly #execute: Execute
  readonly #operations: Operation[] = []

  constructor(execute: Execute) {
    this.#execute = execute
  }

  get(key: Bytes, options?: BoundOptions): Batch<[...Results, Hit | null | KvError]> {
    checkOptions(options, BOUND_OPTIONS, 'get of a batch')
    return this.#add({ kind: 'get', key: toBytes(key, 'key'), staleMs: options?.staleMs })
  }

  put(key: Bytes, value: Bytes, options?: PutConditionOptions): Batch<[...Results, Stored | KvError]> {
    checkOptions(options, PUT_OPTIONS, 'put of a batch')
    return this.#add(putOperation(key, value, options))
  }

  delete(key: Bytes, options?: ConditionOptions): Batch<[...Results, Deleted | KvError]> {
    checkOptions(options, CONDITION_OPTIONS, 'delete of a batch')
    const { ifVersion, returnPrevious } = options ?? {}
    return this.#add({ kind: 'delete', key: toBytes(key, 'key'), ifVersion, returnPrevious })
  }

  append(key: Bytes, value: Bytes): Batch<[...Results, Appended | KvError]> {
    return this.#add({ kind: 'append', key: toBytes(key, 'key'), value: toBytes(value, 'value') })
  }

  compareAndSet(key: Bytes, expected: Bytes | null, value: Bytes): Batch<[...Results, Stored | KvError]> {
    return this.#add(compareAndSetOperation(key, expected, value))
  }

  increment(key: Bytes, by = 1n): Batch<[...Results, bigint | KvError]> {
    return this.#add({ kind: 'increment', key: toBytes(key, 'key'), by })
  }

  touch(key: Bytes, options?: TouchOptions): Batch<[...Results, boolean | KvError]> {
    return this.#add({ kind: 'touch', key: toBytes(key, 'key'), ttlMs: options?.ttlMs })
  }

  ttlOf(key: Bytes): Batch<[...Results, number | null | KvError]> {
    return this.#add({ kind: 'ttl-of', key: toBytes(key, 'key') })
  }

  /**
   * Sends what was added since the last `run`. Gives the results in the order of the operations, a KvError for each that
   * failed; deadline and signal are those of every one. Rejects with a TypeError only.
   */
  async run(options?: RequestOptions): Promise<Results> {
    checkOptions(options, REQUEST_OPTIONS, 'run of a batch')
    const answers = this.#operations.splice(0).map((operation) => this.#resultOf(operation, options))
    return (await Promise.all(answers)) as readonly BatchResult[] as Results
  }

  async #resultOf(operation: Operation, options: RequestOptions | undefined): Promise<BatchResult> {
    try {
      return replyOf(operation, await this.#execute(operation, options))
    } catch (error) {
      if (error instanceof KvError) return error
      throw error
    }
  }

  #add<More extends BatchResult>(operation: Operation): Batch<[...Results, More]> {
    this.#operations.push(operation)
    return this as unknown as Batch<[...Results, More]>
  }
}

export function putOperation(key: Bytes, value: Bytes, options: PutConditionOptions = {}): PutOperation {
  const { ifAbsent = false, returnPrevious, ttlMs } = options
  if (typeof ifAbsent !== 'boolean') throw new TypeError(`ifAbsent must be true or false, not ${describe(ifAbsent)}`)
  if (ifAbsent && options.ifVersion !== undefined) throw new TypeError('ifVersion and ifAbsent exclude each other')
  const ifVersion = ifAbsent ? 0n : options.ifVersion
  const lease = leaseOf(options.lease)
  return {
    kind: 'put',
    key: toBytes(key, 'key'),
    value: toBytes(value, 'value'),
    ifVersion,
    returnPrevious,
    ttlMs,
    lease,
  }
}

export function compareAndSetOperation(key: Bytes, expected: Bytes | null, value: Bytes): Operation {
  return {
    kind: 'compare-and-set',
    key: toBytes(key, 'key'),
    expected: expected === null ? undefined : toBytes(expected, 'expected value'),
    value: toBytes(value, 'value'),
  }
}

/** What a caller gets for a result. */
export function replyOf(operation: Operation, result: Result): Reply {
  switch (result.kind) {
    case 'get':
      return result.found ? new Hit(Buffer.from(result.value), result.version, result.ttlMs) : null
    case 'put':
      return { version: result.version, ...previousOf(operation, result.previous) }
    case 'delete':
      return { existed: result.existed, ...previousOf(operation, result.previous) }
    case 'compare-and-set':
      return { version: result.version }
    case 'increment':
      return result.value
    case 'append':
      return { version: result.version, length: result.length }
    case 'touch':
      return result.existed
    case 'ttl-of':
      return result.ttlMs ?? null
    case 'transaction':
      throw new TypeError('a transaction has a result of its own')
    case 'open-session':
      throw new TypeError('sessions are opened below the client')
    case 'page':
      throw new TypeError('pages are what a scan reads')
    case 'grant-lease':
    case 'keep-alive':
    case 'revoke-lease':
      throw new TypeError('leases are asked for shard by shard')
  }
}

function previousOf(operation: Operation, previous: Previous | undefined): { previous?: Hit | null } {
  if (!returnsPrevious(operation)) return {}
  return { previous: previous === undefined ? null : new Hit(Buffer.from(previous.value), previous.version) }
}
