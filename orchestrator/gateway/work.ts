import type { Operation, Result } from '../core/operation.js'
import { type KvError, OverloadedError, UnsupportedError } from '../errors/index.js'
import type { BatchMessage } from '../wire/batch-stream.js'
import type { Budget } from './budget.js'
import type { Done, GatewayContext } from './context.js'

/** What a result without a value weighs. */
const RESULT_BYTES = 64
const RETRY_AFTER_MS = 10

/** What is sent of a message at once: all of it, or a part. */
export interface Answer {
  readonly results: readonly (Result | KvError)[]
  /** Which operations the results are of. Empty: of all, in their order. */
  readonly positions: readonly number[]
  /** What is given back to the budget when the answer is written. */
  readonly bytes: number
  readonly first: boolean
  readonly last: boolean
}

/** Told of a message's progress. Both may come before `begin` has returned. */
export interface WorkListener {
  /** Something has been done that no answer has carried, and not everything has. */
  onPart(work: Work): void
  /** Its last operation is done. Comes once. */
  onDone(work: Work): void
}

/** One message on its way. Each operation gets exactly one result, and each result is taken once. */
export class Work {
  readonly id: bigint
  readonly #context: GatewayContext
  readonly #budget: Budget
  readonly #message: BatchMessage
  readonly #listener: WorkListener
  /** Undefined where an operation is not done, or its result was taken. */
  readonly #results: (Result | KvError | undefined)[]
  #left: number
  #inParts = false
  /** Whether the listener knows of results that nobody has taken. */
  #told = false
  /** What the message itself holds until it is finished: its operations are views into one buffer. */
  readonly #requestBytes: number
  /** What the values hold that nobody has taken. */
  #valueBytes = 0

  /** `bytes` were taken from the budget for the message. */
  constructor(context: GatewayContext, budget: Budget, message: BatchMessage, bytes: number, listener: WorkListener) {
    this.#requestBytes = bytes
    this.id = message.id
    this.#context = context
    this.#budget = budget
    this.#message = message
    this.#listener = listener
    this.#left = message.operations.length
    this.#results = new Array<Result | KvError | undefined>(this.#left)
  }

  begin(): void {
    if (this.#left === 0) {
      this.#listener.onDone(this)
      return
    }
    const { operations, timeoutMs } = this.#message
    const deadlineMs = timeoutMs === 0 ? this.#context.limits.deadlineMs : timeoutMs
    for (let index = 0; index < operations.length; index++) {
      const operation = operations[index]
      if (operation === undefined) this.#settle(index, unknownKind())
      else this.#submit(index, operation, deadlineMs)
    }
  }

  /** Everything that is done and was not taken. */
  take(): Answer {
    const first = !this.#inParts
    const last = this.#left === 0
    const bytes = this.#valueBytes + (last ? this.#requestBytes : 0)
    this.#valueBytes = 0
    this.#told = false
    this.#inParts = true
    if (first && last) return { results: this.#results as (Result | KvError)[], positions: [], bytes, first, last }
    return { ...this.#takePart(), bytes, first, last }
  }

  #takePart(): Pick<Answer, 'results' | 'positions'> {
    const results: (Result | KvError)[] = []
    const positions: number[] = []
    for (let index = 0; index < this.#results.length; index++) {
      const result = this.#results[index]
      if (result === undefined) continue
      results.push(result)
      positions.push(index)
      // Its value is not held longer than its answer.
      this.#results[index] = undefined
    }
    return { results, positions }
  }

  #submit(index: number, operation: Operation, deadlineMs: number): void {
    const done: Done = (error, result) => this.#settle(index, error ?? this.#fit(result))
    this.#context.submit(operation, deadlineMs, done, this.#message.stamps[index])
  }

  /** What does not fit into the answer or the budget is to be asked for again, except the first: each try gets on. */
  #fit(result: Result | undefined): Result | KvError {
    if (result === undefined) throw new TypeError('a Store answered with neither a result nor an error')
    if (result.kind !== 'get' || !result.found) return result
    const bytes = result.value.byteLength + RESULT_BYTES
    if (this.#valueBytes > 0 && this.#valueBytes + bytes > this.#context.limits.batchBytesMax) {
      return overloaded('the answer to this message is full: ask for less at once')
    }
    if (!this.#budget.take(bytes)) return overloaded('the gateway holds as many bytes as it may')
    this.#valueBytes += bytes
    return result
  }

  #settle(index: number, result: Result | KvError): void {
    this.#results[index] = result
    if (--this.#left === 0) {
      this.#listener.onDone(this)
    } else if (!this.#told) {
      this.#told = true
      this.#listener.onPart(this)
    }
  }
}

export function overloaded(message: string, retryAfterMs = RETRY_AFTER_MS): KvError {
  return new OverloadedError(message, { outcome: 'not-applied', retryAfterMs: Math.ceil(retryAfterMs) })
}

function unknownKind(): KvError {
  const message = 'this gateway does not know the operation: upgrade it'
  return new UnsupportedError(message, { outcome: 'not-applied' })
}
