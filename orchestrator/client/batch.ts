import type { Operation, Result } from '../core/operation.js'
import { KvError } from '../errors/index.js'
import type { ReadOptions, RequestOptions } from './front.js'
import { type Bytes, Hit, toBytes } from './values.js'

export interface ConditionOptions {
  /** Applies only if the key's version is this one; 0 means absent. Else PRECONDITION_FAILED. */
  readonly ifVersion?: bigint
}

export type BoundOptions = Pick<ReadOptions, 'staleMs'>

export interface Stored {
  /** Of the key now. */
  readonly version: bigint
}

export interface Deleted {
  readonly existed: boolean
}

export interface Appended {
  readonly version: bigint
  /** Of the value now, bytes. */
  readonly length: number
}

/** What one operation of a batch came to. */
export type BatchResult = Hit | null | Stored | Deleted | Appended | KvError

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

  get(key: Bytes, { staleMs }: BoundOptions = {}): Batch<[...Results, Hit | null | KvError]> {
    return this.#add({ kind: 'get', key: toBytes(key, 'key'), staleMs })
  }

  put(key: Bytes, value: Bytes, { ifVersion }: ConditionOptions = {}): Batch<[...Results, Stored | KvError]> {
    return this.#add({ kind: 'put', key: toBytes(key, 'key'), value: toBytes(value, 'value'), ifVersion })
  }

  delete(key: Bytes, { ifVersion }: ConditionOptions = {}): Batch<[...Results, Deleted | KvError]> {
    return this.#add({ kind: 'delete', key: toBytes(key, 'key'), ifVersion })
  }

  append(key: Bytes, value: Bytes): Batch<[...Results, Appended | KvError]> {
    return this.#add({ kind: 'append', key: toBytes(key, 'key'), value: toBytes(value, 'value') })
  }

  /**
   * Sends what was added since the last `run`. Gives the results in the order of the operations, a KvError for each that
   * failed; deadline and signal are those of every one. Rejects with a TypeError only.
   */
  async run(options?: RequestOptions): Promise<Results> {
    const answers = this.#operations.splice(0).map((operation) => this.#resultOf(operation, options))
    return (await Promise.all(answers)) as readonly BatchResult[] as Results
  }

  async #resultOf(operation: Operation, options: RequestOptions | undefined): Promise<BatchResult> {
    try {
      return replyOf(await this.#execute(operation, options))
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

/** What a caller gets for a result. */
export function replyOf(result: Result): Hit | null | Stored | Deleted | Appended {
  switch (result.kind) {
    case 'get':
      return result.found ? new Hit(Buffer.from(result.value), result.version) : null
    case 'put':
      return { version: result.version }
    case 'delete':
      return { existed: result.existed }
    case 'append':
      return { version: result.version, length: result.length }
    case 'open-session':
      throw new TypeError('sessions are opened below the client')
  }
}
