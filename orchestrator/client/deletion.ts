import { type Clock, sleep } from '../core/clock.js'
import { CancelledError, DeadlineExceededError, type KvError, kvError, toKvError } from '../errors/index.js'
import { ControlClient, type Operation, OperationState } from '../wire/control.js'
import type { Names } from './arguments.js'
import { checkSignal } from './arguments.js'
import { REQUEST_OPTIONS, type RequestOptions } from './front.js'
import { type Bytes, toBytes } from './values.js'

export interface DeletePrefixOptions extends RequestOptions {
  /** How long the call waits, ms; the operation goes on. Default: until it has ended. */
  readonly deadlineMs?: number
  /** Resolves when it has begun. Default false. */
  readonly detach?: boolean
  /** Every key there is: has to be said for the empty prefix. */
  readonly all?: boolean
}

/** The deletion of every key with a prefix. */
export interface PrefixDeletion {
  /** The operation's id, for `kvorum operations` and GET /v1/operations/{id}. */
  readonly id: string
  /** `running`: as far as is known, with `detach`. */
  readonly state: 'running' | 'done'
  /** At least so many. */
  readonly deleted: number
}

export const DELETE_PREFIX_OPTIONS: Names<DeletePrefixOptions> = { ...REQUEST_OPTIONS, detach: true, all: true }

const RETRY_MS = 100

export interface DeletionsOptions {
  /** Gateways: whatever the mode, they alone know who runs operations. */
  readonly endpoints: readonly string[]
  /** How long it may take to begin. */
  readonly deadlineMs: number
  readonly clock: Clock
}

/** Deletions of prefixes that a client has asked for. */
export class Deletions {
  readonly #closed = new AbortController()
  readonly #underWay = new Set<Promise<unknown>>()

  constructor(private readonly options: DeletionsOptions) {}

  deletePrefix(prefix: Bytes, options: DeletePrefixOptions): Promise<PrefixDeletion> {
    const { deadlineMs = Number.POSITIVE_INFINITY, detach = false, all = false, signal } = options
    const bytes = toBytes(prefix, 'prefix')
    for (const [name, value] of Object.entries({ detach, all })) {
      if (typeof value !== 'boolean') throw new TypeError(`${name} must be true or false`)
    }
    if (typeof deadlineMs !== 'number' || Number.isNaN(deadlineMs)) throw new TypeError('deadlineMs must be a number')
    checkSignal(signal)
    const work = this.#within(deadlineMs, signal, async (over) => {
      const begun = await this.#begin(bytes, all, deadlineMs, over)
      return detach ? begun : this.#ended(begun, over)
    })
    this.#underWay.add(work)
    const forget = () => this.#underWay.delete(work)
    work.then(forget, forget)
    return work.then(resultOf)
  }

  /** Those that are waited for end with CANCELLED; what was begun goes on. */
  async close(): Promise<void> {
    this.#closed.abort(new CancelledError('the client is closed', { outcome: 'unknown' }))
    await Promise.allSettled(this.#underWay)
  }

  /** `over` is aborted, with a KvError, when the caller does not wait any more. */
  async #within<T>(
    deadlineMs: number,
    signal: AbortSignal | undefined,
    work: (over: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const over = new AbortController()
    const leave = () =>
      over.abort(new CancelledError('the caller has cancelled it', { outcome: 'unknown', cause: signal?.reason }))
    const late = () => over.abort(new DeadlineExceededError('it takes longer than that', { outcome: 'unknown' }))
    const close = () => over.abort(this.#closed.signal.reason)
    const timer = Number.isFinite(deadlineMs) ? this.options.clock.setTimeout(late, deadlineMs) : undefined
    for (const [from, what] of [
      [signal, leave],
      [this.#closed.signal, close],
    ] as const) {
      from?.addEventListener('abort', what, { once: true })
      if (from?.aborted === true) what()
    }
    try {
      return await work(over.signal)
    } finally {
      timer?.cancel()
      signal?.removeEventListener('abort', leave)
      this.#closed.signal.removeEventListener('abort', close)
    }
  }

  /** Asks one gateway after the other, as long as nothing can have come of it. */
  async #begin(prefix: Uint8Array, all: boolean, deadlineMs: number, over: AbortSignal): Promise<Operation> {
    const { endpoints, clock } = this.options
    const until = clock.monotonic() + Math.min(deadlineMs, this.options.deadlineMs)
    for (let turn = 0; ; turn++) {
      if (over.aborted) throw kvError('CANCELLED', (over.reason as KvError).message, { outcome: 'not-applied' })
      const left = until - clock.monotonic()
      try {
        return await this.#asked(endpoints[turn % endpoints.length] as string, (control) =>
          control.deletePrefix(prefix, { deadlineMs: left, all }),
        )
      } catch (thrown) {
        const error = toKvError(thrown, 'unknown')
        if (error.outcome !== 'not-applied' || !error.retryable || left <= RETRY_MS) throw error
        await sleep(clock, RETRY_MS, over).catch(() => {})
      }
    }
  }

  /** Follows it from gateway to gateway, until it has ended. */
  async #ended(begun: Operation, over: AbortSignal): Promise<Operation> {
    const { endpoints, clock } = this.options
    let last = begun
    for (let turn = 0; !over.aborted && last.endedAt === 0n; turn++) {
      try {
        await this.#asked(endpoints[turn % endpoints.length] as string, async (control) => {
          for await (const operation of control.watch(begun.id, over)) last = operation
        })
      } catch (thrown) {
        const error = toKvError(thrown, 'unknown')
        if (error.code === 'INVALID_ARGUMENT') throw error
      }
      if (last.endedAt === 0n) await sleep(clock, RETRY_MS, over).catch(() => {})
    }
    if (last.state === OperationState.DONE) return last
    const known = `${deletedBy(last)} keys or more are deleted`
    if (last.state === OperationState.CANCELLED) {
      throw new CancelledError(`operation ${last.id} was cancelled: ${known}`, { outcome: 'unknown' })
    }
    const reason = over.reason as KvError
    const message = `${reason.message}; operation ${last.id} goes on: ${known} so far`
    throw kvError(reason.code, message, { outcome: 'unknown', cause: reason.cause })
  }

  async #asked<T>(address: string, ask: (control: ControlClient) => Promise<T>): Promise<T> {
    const control = new ControlClient(address, this.options.clock)
    try {
      return await ask(control)
    } finally {
      control.close()
    }
  }
}

function resultOf(operation: Operation): PrefixDeletion {
  const state = operation.state === OperationState.DONE ? 'done' : 'running'
  return { id: operation.id, state, deleted: deletedBy(operation) }
}

function deletedBy({ keys }: Operation): number {
  return Number(keys?.deleted ?? 0n)
}
