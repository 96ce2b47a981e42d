import { checkAddress } from '../core/address.js'
import { systemClock } from '../core/clock.js'
import { DEFAULT_LIMITS, VALUE_BYTES_TOP } from '../core/limits.js'
import type { AppendResult, GetResult, Operation, Result } from '../core/operation.js'
import { systemRng } from '../core/rng.js'
import { decodeText, encodeText } from '../core/text.js'
import { InvalidArgumentError } from '../errors/index.js'
import { executeOn } from '../store/execute.js'
import { Gateway } from './gateway.js'

export interface RequestWrapperOptions {
  /** How long an operation may take, ms, unless it says otherwise. Default 5,000. */
  readonly deadlineMs?: number
}

export interface RequestOptions {
  /** How long this operation may take, ms. */
  readonly deadlineMs?: number
  /** Aborting it ends the operation with CANCELLED. */
  readonly signal?: AbortSignal
}

/** The gateway knows its own limit for values; here only what no gateway takes is refused. */
const LIMITS = { ...DEFAULT_LIMITS, valueBytesMax: VALUE_BYTES_TOP }

/**
 * A client of one Kvorum gateway, for strings. One stream for all operations, whatever the number of calls at once. It
 * connects with the first call, and again when the gateway has been away. `close` it, or the process will not end.
 *
 * A write happens once, also when it has to be sent again because a node or the gateway died.
 *
 * Calls reject with a KvError (its `outcome` says what is known of a write that failed), or with a TypeError for what is
 * a mistake of the program.
 */
export class RequestWrapper {
  readonly #deadlineMs: number
  readonly #gateway: Gateway

  /** `address` is host:port. */
  constructor(address: string, options: RequestWrapperOptions = {}) {
    checkAddress(address)
    this.#deadlineMs = options.deadlineMs ?? LIMITS.deadlineMs
    this.#gateway = new Gateway({ address, limits: LIMITS, clock: systemClock, rng: systemRng })
  }

  /** The key's value, or null when it has none. */
  async get(key: string, options?: RequestOptions): Promise<string | null> {
    const { found, value } = (await this.#execute({ kind: 'get', key: encodeText(key, 'key') }, options)) as GetResult
    if (!found) return null
    const text = decodeText(value)
    if (text !== undefined) return text
    const message = 'the value is not UTF-8 text: somebody stored other bytes under this key'
    throw new InvalidArgumentError(message, { outcome: 'not-applied' })
  }

  async put(key: string, value: string, options?: RequestOptions): Promise<void> {
    await this.#execute({ kind: 'put', key: encodeText(key, 'key'), value: encodeText(value, 'value') }, options)
  }

  /** Deleting an absent key succeeds. */
  async delete(key: string, options?: RequestOptions): Promise<void> {
    await this.#execute({ kind: 'delete', key: encodeText(key, 'key') }, options)
  }

  /** Adds text to the end of the value and says how many bytes it has now; an absent key is empty. */
  async append(key: string, value: string, options?: RequestOptions): Promise<number> {
    const operation = { kind: 'append', key: encodeText(key, 'key'), value: encodeText(value, 'value') } as const
    return ((await this.#execute(operation, options)) as AppendResult).length
  }

  /** Ends what is in flight with CANCELLED and frees the connection. */
  close(): void {
    this.#gateway.close()
  }

  #execute(operation: Operation, options: RequestOptions | undefined): Promise<Result> {
    return executeOn(this.#gateway.executor, operation, options?.deadlineMs ?? this.#deadlineMs, options?.signal)
  }
}
