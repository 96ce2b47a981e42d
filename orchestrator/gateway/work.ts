import {
  type GetOperation,
  type Operation,
  type PageOperation,
  type Result,
  returnedBytesMax,
  returnsPrevious,
} from '../core/operation.js'
import { KvError, OverloadedError, UnsupportedError } from '../errors/index.js'
import type { BatchMessage } from '../wire/batch-stream.js'
import type { Done, GatewayContext } from './context.js'
import type { ReadGate, Ticket, Waiting } from './read-gate.js'

/** What a result without a value weighs. */
const RESULT_BYTES = 64
const RETRY_AFTER_MS = 10

/** What is sent of a message at once: all of it, or a part. */
export interface Answer {
  readonly results: readonly (Result | KvError)[]
  /** Which operations the results are of. Empty: of all, in their order. */
  readonly positions: readonly number[]
  /** What is given back when the answer is written: of the message, and of values. */
  readonly requestBytes: number
  readonly valueBytes: number
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
export class Work implements Waiting {
  readonly id: bigint
  readonly #context: GatewayContext
  readonly #gate: ReadGate
  readonly #message: BatchMessage
  readonly #listener: WorkListener
  /** Undefined where an operation is not done, or its result was taken. */
  readonly #results: (Result | KvError | undefined)[]
  #left: number
  #inParts = false
  /** What writes of the message may give back, bytes. */
  #promised = 0
  /** Whether the listener knows of results that nobody has taken. */
  #told = false
  /** What the message itself holds until it is finished: its operations are views into one buffer. */
  readonly #requestBytes: number
  /** What the values hold that nobody has taken. */
  #valueBytes = 0
  /** Positions of gets that wait for room, and how many of them are over. */
  readonly #held: number[] = []
  #released = 0
  #until = 0

  /** `bytes` were taken from the budget for the message. */
  constructor(context: GatewayContext, gate: ReadGate, message: BatchMessage, bytes: number, listener: WorkListener) {
    this.#requestBytes = bytes
    this.id = message.id
    this.#context = context
    this.#gate = gate
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
      else if (operation.kind === 'get') this.#read(index, operation, deadlineMs)
      else if (operation.kind === 'page') this.#page(index, operation, deadlineMs)
      else if (returnsPrevious(operation)) this.#exchange(index, operation, deadlineMs)
      else this.#submit(index, operation, deadlineMs)
    }
    if (this.#held.length === 0) return
    this.#until = this.#context.clock.monotonic() + deadlineMs
    this.#gate.wait(this)
  }

  /** Asks for what was held back. What finds the answer full, or comes too late, need not be asked for. */
  resume(): boolean {
    const { clock, limits } = this.#context
    for (; this.#released < this.#held.length; this.#released++) {
      const index = this.#held[this.#released] as number
      const operation = this.#message.operations[index] as GetOperation
      const leftMs = this.#until - clock.monotonic()
      if (this.#valueBytes >= limits.batchBytesMax) this.#settle(index, ANSWER_FULL)
      else if (leftMs <= 0) this.#submit(index, operation, leftMs)
      else if (!this.#enter(index, operation, leftMs)) return false
    }
    return true
  }

  /** Everything that is done and was not taken. */
  take(): Answer {
    const first = !this.#inParts
    const last = this.#left === 0
    const held = { requestBytes: last ? this.#requestBytes : 0, valueBytes: this.#valueBytes }
    this.#valueBytes = 0
    this.#told = false
    this.#inParts = true
    if (first && last) return { results: this.#results as (Result | KvError)[], positions: [], ...held, first, last }
    return { ...this.#takePart(), ...held, first, last }
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

  /** `held` is the room that was found for the answer. */
  #submit(index: number, operation: Operation, deadlineMs: number, held = 0): void {
    const done: Done = (error, result) => {
      this.#valueBytes += held
      this.#settle(index, error ?? resultOf(result))
    }
    this.#context.submit(operation, deadlineMs, done, this.#message.stamps[index])
  }

  /** For a write that may give back a value: there has to be room for that before, since what is applied cannot be refused. */
  #exchange(index: number, operation: Operation, deadlineMs: number): void {
    const room = returnedBytesMax(operation)
    const all = this.#promised + room
    if (this.#promised > 0 && all > this.#context.limits.batchBytesMax) {
      this.#settle(index, ANSWER_FULL)
      return
    }
    this.#promised = all
    if (!this.#gate.take(room)) {
      this.#context.readers.shed()
      this.#settle(index, overloaded('the gateway holds as many bytes as it may'))
      return
    }
    this.#submit(index, operation, deadlineMs, room)
  }

  /** There has to be room before it is read: what is read and then dropped is work for nothing. */
  #page(index: number, operation: PageOperation, deadlineMs: number): void {
    if (!this.#gate.take(operation.bytesMax)) {
      this.#context.readers.shed()
      this.#settle(index, overloaded('the gateway holds as many bytes as it may'))
      return
    }
    const done: Done = (error, result) => {
      const bytes = Math.max(operation.bytesMax, sizeOf(result))
      // Only a first entry is larger than what was asked for.
      const fits = bytes === operation.bytesMax || this.#gate.take(bytes - operation.bytesMax)
      this.#valueBytes += fits ? bytes : operation.bytesMax
      const answer = error ?? resultOf(result)
      this.#settle(index, fits ? answer : overloaded('the gateway holds as many bytes as it may'))
    }
    this.#context.submit(operation, deadlineMs, done)
  }

  #read(index: number, operation: GetOperation, deadlineMs: number): void {
    if (this.#held.length > 0 || !this.#enter(index, operation, deadlineMs)) this.#held.push(index)
  }

  /** Asks for a value, if there is room for one. */
  #enter(index: number, operation: GetOperation, deadlineMs: number): boolean {
    const ticket = this.#gate.enter()
    if (ticket === undefined) {
      this.#context.readers.shed()
      return false
    }
    const done: Done = (error, result) => {
      this.#settle(index, this.#arrived(ticket, error ?? resultOf(result)))
      this.#gate.pump()
    }
    this.#context.submit(operation, deadlineMs, done)
    return true
  }

  #arrived(ticket: Ticket, result: Result | KvError): Result | KvError {
    const found = !(result instanceof KvError) && result.kind === 'get' && result.found
    const bytes = found ? result.value.byteLength + RESULT_BYTES : undefined
    this.#gate.leave(ticket, bytes)
    return bytes === undefined ? result : this.#fit(result, bytes)
  }

  /** What does not fit is to be asked for again, except the first: each try gets on. */
  #fit(result: Result | KvError, bytes: number): Result | KvError {
    if (this.#valueBytes > 0 && this.#valueBytes + bytes > this.#context.limits.batchBytesMax) return ANSWER_FULL
    if (!this.#gate.take(bytes)) return overloaded('the gateway holds as many bytes as it may')
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

function resultOf(result: Result | undefined): Result {
  if (result === undefined) throw new TypeError('a Store answered with neither a result nor an error')
  return result
}

/** Of the entries of a page. */
function sizeOf(result: Result | undefined): number {
  if (result?.kind !== 'page') return 0
  return result.entries.reduce((sum, { key, value }) => sum + key.length + value.length, 0)
}

const ANSWER_FULL = overloaded('the answer to this message is full: ask for less at once')

function unknownKind(): KvError {
  const message = 'this gateway does not know the operation: upgrade it'
  return new UnsupportedError(message, { outcome: 'not-applied' })
}
