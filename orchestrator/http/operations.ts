import type { Clock } from '../core/clock.js'
import type { LeaseOptions, LeaseStore } from '../core/lease.js'
import type { Limits } from '../core/limits.js'
import {
  type GetResult,
  type Operation,
  type Previous,
  type Result,
  returnedBytesMax,
  returnsPrevious,
} from '../core/operation.js'
import { type Range, type RangeStore, SCAN_BYTES, type ScanPage, type ScanQuery } from '../core/range.js'
import { printableKey } from '../core/text.js'
import { type KvError, OverloadedError, UnsupportedError } from '../errors/index.js'
import type { Telemetry } from '../telemetry/index.js'
import type { Hold } from './held.js'

/** What is asked of a Store. */
export interface OperationStore {
  /** `done` is called once, with an error or a result, perhaps before this returns; soon after `signal` is aborted. */
  perform(
    operation: Operation,
    deadlineMs: number,
    signal: AbortSignal | undefined,
    done: (error: KvError | undefined, result: Result | undefined) => void,
  ): void
  /** Why it would refuse every operation now, if it would. */
  full?(): KvError | undefined
  /** Undefined: it has no ranges. */
  readonly ranges?: RangeStore | undefined
  /** Undefined: it has no leases. */
  readonly leases?: LeaseStore | undefined
}

/** What one request may use of the Store. */
export interface Asking {
  readonly timeoutMs: number | undefined
  /** Aborted when the client has gone, or the server must end: the operation is given up, with an honest outcome. */
  readonly signal: AbortSignal
  readonly hold: Hold
}

type ResultOf<O extends Operation> = Extract<Result, { kind: O['kind'] }>

/** A request costs a connection, headers, buffers: many times what its operation weighs. */
const REQUESTS_MAX = 2048
/** What that many take at a few thousand a second. */
const CROWDED_MS = 200

/** Operations of all requests, on their way to the Store. */
export class Operations {
  readonly limits: Limits
  readonly #store: OperationStore
  readonly #clock: Clock
  readonly #telemetry: Telemetry
  #requests = 0

  constructor(store: OperationStore, limits: Limits, clock: Clock, telemetry: Telemetry) {
    this.#store = store
    this.limits = limits
    this.#clock = clock
    this.#telemetry = telemetry
  }

  /** To be asked before a request's body is read: throws OVERLOADED when it had better not come now. */
  admit(): () => void {
    const full = this.#store.full?.()
    if (full !== undefined) throw full
    if (this.#requests >= REQUESTS_MAX) {
      const message = 'the gateway has as many HTTP requests in progress as it may'
      throw new OverloadedError(message, { outcome: 'not-applied', retryAfterMs: CROWDED_MS })
    }
    this.#requests++
    return () => {
      this.#requests--
    }
  }

  /** Rejects with a KvError. A value that was found is counted, and is the caller's own: it keeps no greater message alive. */
  run<O extends Operation>(operation: O, { timeoutMs, signal, hold }: Asking): Promise<ResultOf<O>> {
    const begin = this.#clock.monotonic()
    return new Promise((resolve, reject) => {
      // A write that was applied must not be refused for want of room.
      if (returnsPrevious(operation)) hold.take(returnedBytesMax(operation))
      this.#store.perform(operation, timeoutMs ?? this.limits.deadlineMs, signal, (error, result) => {
        this.#tell(operation, begin, error)
        try {
          if (error !== undefined) throw error
          resolve(owned(result as Result, hold) as ResultOf<O>)
        } catch (failure) {
          reject(failure as KvError)
        }
      })
    })
  }

  /** A piece of a scan. Room for it is taken before it is read. */
  scan(query: ScanQuery, limit: number, { timeoutMs, signal, hold }: Asking): Promise<ScanPage> {
    hold.take(SCAN_BYTES)
    return this.#ranges.scan(query, limit, { deadlineMs: timeoutMs ?? this.limits.deadlineMs, signal })
  }

  count(range: Range, { timeoutMs, signal }: Asking): Promise<number> {
    return this.#ranges.count(range, { deadlineMs: timeoutMs ?? this.limits.deadlineMs, signal })
  }

  grantLease(id: Uint8Array, ttlMs: number, asking: Asking): Promise<void> {
    return this.#leases.grantLease(id, ttlMs, this.#options(asking))
  }

  keepAlive(id: Uint8Array, asking: Asking): Promise<number> {
    return this.#leases.keepAlive(id, this.#options(asking))
  }

  revokeLease(id: Uint8Array, asking: Asking): Promise<boolean> {
    return this.#leases.revokeLease(id, this.#options(asking))
  }

  #options({ timeoutMs, signal }: Asking): LeaseOptions {
    return { deadlineMs: timeoutMs ?? this.limits.deadlineMs, signal }
  }

  get #leases(): LeaseStore {
    const { leases } = this.#store
    if (leases === undefined) throw new UnsupportedError('no leases are served here', { outcome: 'not-applied' })
    return leases
  }

  get #ranges(): RangeStore {
    const { ranges } = this.#store
    if (ranges === undefined) throw new UnsupportedError('no ranges are served here', { outcome: 'not-applied' })
    return ranges
  }

  #tell({ kind, key }: Operation, begin: number, error: KvError | undefined): void {
    if (!this.#telemetry.enabled('request')) return
    const ms = this.#clock.monotonic() - begin
    this.#telemetry.emit('request', { operation: kind, key: printableKey(key), outcome: error?.code ?? 'ok', ms })
  }
}

/** A value is a view into a message of up to megabytes, which a client that reads slowly must not hold. */
function owned(result: Result, hold: Hold): Result {
  switch (result.kind) {
    case 'get':
      if (result.found) hold.take(result.value.byteLength)
      return { ...result, value: Uint8Array.from(result.value) }
    case 'put':
    case 'delete':
      return result.previous === undefined ? result : { ...result, previous: copyOf(result.previous) }
    case 'transaction':
      return { ...result, results: result.results.map((one) => (one.kind === 'get' ? copyOfGet(one) : one)) }
    default:
      return result
  }
}

function copyOfGet(result: GetResult): GetResult {
  return { ...result, value: Uint8Array.from(result.value) }
}

function copyOf({ value, version }: Previous): Previous {
  return { value: Uint8Array.from(value), version }
}
