import { checkAddress } from '../core/address.js'
import { systemClock } from '../core/clock.js'
import { DEFAULT_LIMITS, VALUE_BYTES_TOP } from '../core/limits.js'
import type { AppendResult, GetResult, Operation, Result } from '../core/operation.js'
import { systemRng } from '../core/rng.js'
import { encodeText } from '../core/text.js'
import { checkMs, checkOptions, type Names } from './arguments.js'
import { TOUCH_OPTIONS, type TouchOptions } from './batch.js'
import { Front, READ_OPTIONS, REQUEST_OPTIONS, type ReadOptions, type RequestOptions } from './front.js'
import { Gateway } from './gateway.js'
import { MapWatcher } from './map-watcher.js'
import { toText } from './values.js'

export interface RequestWrapperOptions {
  /** How long an operation may take, ms, unless it says otherwise. Default 5,000. */
  readonly deadlineMs?: number
}

const PUT_OPTIONS: Names<RequestOptions & TouchOptions> = { ...REQUEST_OPTIONS, ...TOUCH_OPTIONS }
const WRAPPER_OPTIONS: Names<RequestWrapperOptions> = { deadlineMs: true }

/** The gateway knows its own limit for values; here only what no gateway takes is refused. */
const LIMITS = { ...DEFAULT_LIMITS, valueBytesMax: VALUE_BYTES_TOP }

/**
 * A client of a Kvorum gateway, for strings. One stream for all operations, whatever the number of calls at once. It
 * connects with the first call, and again when the gateway has been away. `close` it, or the process will not end.
 *
 * A write happens once, also when it has to be sent again because a node or the gateway died.
 *
 * Calls reject with a KvError (its `outcome` says what is known of a write that failed), or with a TypeError for what is
 * a mistake of the program.
 */
export class RequestWrapper {
  readonly #front: Front

  /** `address` is host:port; or several of one cluster: the others are for when one does not answer. */
  constructor(address: string | readonly string[], options: RequestWrapperOptions = {}) {
    checkOptions(options, WRAPPER_OPTIONS, 'RequestWrapper')
    checkMs(options.deadlineMs, 'deadlineMs')
    const endpoints = [...new Set(Array.isArray(address) ? (address as readonly string[]) : [address as string])]
    if (endpoints.length === 0) throw new TypeError('a client needs the address of a gateway, like "localhost:7000"')
    for (const one of endpoints) checkAddress(one)
    const limits = { ...LIMITS, deadlineMs: options.deadlineMs ?? LIMITS.deadlineMs }
    const clock = systemClock
    // It follows whatever cluster is behind an address; behind several it is one and the same.
    const maps = new MapWatcher({ endpoints, clock, pinned: endpoints.length > 1 })
    const engine = new Gateway({ endpoints, maps, limits, clock, rng: systemRng })
    this.#front = new Front({ engine, limits, clock })
  }

  /** The key's value, or null when it has none. */
  async get(key: string, options?: ReadOptions): Promise<string | null> {
    checkOptions(options, READ_OPTIONS, 'get')
    const operation = { kind: 'get', key: encodeText(key, 'key'), staleMs: options?.staleMs } as const
    const { found, value } = (await this.#execute(operation, options)) as GetResult
    return found ? toText(value) : null
  }

  /** For ever, or with `ttlMs` for so long. */
  async put(key: string, value: string, options?: RequestOptions & TouchOptions): Promise<void> {
    checkOptions(options, PUT_OPTIONS, 'put of a RequestWrapper')
    const ttlMs = options?.ttlMs
    await this.#execute({ kind: 'put', key: encodeText(key, 'key'), value: encodeText(value, 'value'), ttlMs }, options)
  }

  /** Deleting an absent key succeeds. */
  async delete(key: string, options?: RequestOptions): Promise<void> {
    checkOptions(options, REQUEST_OPTIONS, 'delete of a RequestWrapper')
    await this.#execute({ kind: 'delete', key: encodeText(key, 'key') }, options)
  }

  /** Adds text to the end of the value and says how many bytes it has now; an absent key is empty. */
  async append(key: string, value: string, options?: RequestOptions): Promise<number> {
    checkOptions(options, REQUEST_OPTIONS, 'append')
    const operation = { kind: 'append', key: encodeText(key, 'key'), value: encodeText(value, 'value') } as const
    return ((await this.#execute(operation, options)) as AppendResult).length
  }

  /** Ends what is in flight with CANCELLED and frees the connection. */
  close(): void {
    this.#front.close()
  }

  #execute(operation: Operation, options: RequestOptions | undefined): Promise<Result> {
    return this.#front.execute(operation, options)
  }
}
