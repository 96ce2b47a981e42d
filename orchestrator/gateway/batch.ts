// One Batch stream of a client: each message's operations go to the Store one by one, and its answer goes back when
// the last of them is done. Memory is bounded three ways: messages open at once (past it the stream is not read, and
// HTTP/2 holds the client back), and bytes per stream and per gateway (past them: OVERLOADED). A message holds its place
// and its bytes until its answer has been written, so a client that does not read is not read from.
import { bytesOf, type Operation, type Result } from '../core/operation.js'
import { type KvError, OverloadedError, TooLargeError, UnsupportedError } from '../errors/index.js'
import type { BatchListener, BatchMessage, BatchStream } from '../wire/batch-stream.js'
import { Budget } from './budget.js'
import type { GatewayContext } from './context.js'

/** What a session needs of its stream; a test gives its own. */
export type BatchPort = Pick<BatchStream, keyof BatchStream>

/** Messages of one stream that are being worked on or written. A lane keeps one or two in flight, and up to 32 while
 * one shard answers slowly and the others do not. */
const OPEN_MESSAGES_MAX = 64
/** The share of the gateway's bytes that one stream may hold: one client cannot starve the others. */
const STREAM_SHARE = 1 / 4
/** What a result without a value weighs. */
const RESULT_BYTES = 64
const RETRY_AFTER_MS = 10

export class BatchSession implements BatchListener {
  readonly #context: GatewayContext
  readonly #stream: BatchPort
  readonly #budget: Budget
  readonly #onGone: (session: BatchSession) => void
  #open = 0
  #ending = false
  #gone = false

  constructor(context: GatewayContext, stream: BatchPort, onGone: (session: BatchSession) => void) {
    this.#context = context
    this.#stream = stream
    this.#budget = new Budget(context.limits.inFlightBytesMax * STREAM_SHARE, context.budget)
    this.#onGone = onGone
    stream.listen(this)
  }

  /** Takes no more messages, answers those that it has, and ends the stream. */
  drain(): void {
    this.#ending = true
    this.#stream.pause()
    this.#endIfDone()
  }

  onMessage(message: BatchMessage): void {
    this.#open++
    if (this.#open >= OPEN_MESSAGES_MAX) this.#stream.pause()
    const bytes = weigh(message.operations)
    const work = new Work(this.#context, this.#budget, message, (done) => this.#answer(done))
    const refusal = this.#refuse(message.operations.length, bytes)
    if (refusal === undefined) work.begin(bytes)
    else work.refuse(refusal)
  }

  onEnd(): void {
    this.#ending = true
    this.#endIfDone()
  }

  onGone(): void {
    this.#gone = true
    this.#budget.close()
    this.#onGone(this)
  }

  /** Takes the message's bytes, or says why not. */
  #refuse(operations: number, bytes: number): KvError | undefined {
    const { batchOperationsMax } = this.#context.limits
    if (operations > batchOperationsMax) {
      const message = `the message has ${operations} operations, the limit is ${batchOperationsMax}`
      return new TooLargeError(message, { outcome: 'not-applied' })
    }
    return this.#budget.take(bytes) ? undefined : overloaded('the gateway holds as many bytes as it may')
  }

  #answer(work: Work): void {
    if (this.#gone) return
    this.#stream.send(work.id, work.results, () => {
      // Written in the same moment in which the stream broke: everything was given back then.
      if (this.#gone) return
      this.#budget.give(work.bytes)
      if (this.#open-- === OPEN_MESSAGES_MAX && !this.#ending) this.#stream.resume()
      this.#endIfDone()
    })
  }

  #endIfDone(): void {
    if (this.#ending && this.#open === 0) this.#stream.end()
  }
}

/** One message on its way. Each operation gets exactly one result; after the last, `done` is called once. */
class Work {
  readonly id: bigint
  readonly results: (Result | KvError)[]
  /** What the message holds of the budget. */
  bytes = 0
  readonly #context: GatewayContext
  readonly #budget: Budget
  readonly #message: BatchMessage
  readonly #done: (work: Work) => void
  #left: number
  #answerBytes = 0

  constructor(context: GatewayContext, budget: Budget, message: BatchMessage, done: (work: Work) => void) {
    this.id = message.id
    this.results = new Array<Result | KvError>(message.operations.length)
    this.#context = context
    this.#budget = budget
    this.#message = message
    this.#done = done
    this.#left = message.operations.length
  }

  begin(bytes: number): void {
    this.bytes = bytes
    const { operations, timeoutMs } = this.#message
    if (operations.length === 0) this.#done(this)
    const deadlineMs = timeoutMs === 0 ? this.#context.limits.deadlineMs : timeoutMs
    for (let index = 0; index < operations.length; index++) {
      const operation = operations[index]
      if (operation === undefined) this.#settle(index, unknownKind())
      else this.#submit(index, operation, deadlineMs)
    }
  }

  refuse(error: KvError): void {
    this.results.fill(error)
    this.#done(this)
  }

  #submit(index: number, operation: Operation, deadlineMs: number): void {
    this.#context.submit(operation, deadlineMs, (error, result) => {
      this.#settle(index, error ?? this.#fit(result))
    })
  }

  /** What does not fit into the answer or the budget is to be asked for again, except the first: each try gets on. */
  #fit(result: Result | undefined): Result | KvError {
    if (result === undefined) throw new TypeError('a Store answered with neither a result nor an error')
    if (result.kind !== 'get' || !result.found) return result
    const bytes = result.value.byteLength + RESULT_BYTES
    if (this.#answerBytes > 0 && this.#answerBytes + bytes > this.#context.limits.batchBytesMax) {
      return overloaded('the answer to this message is full: ask for less at once')
    }
    if (!this.#budget.take(bytes)) return overloaded('the gateway holds as many bytes as it may')
    this.#answerBytes += bytes
    this.bytes += bytes
    return result
  }

  #settle(index: number, result: Result | KvError): void {
    this.results[index] = result
    if (--this.#left === 0) this.#done(this)
  }
}

function weigh(operations: readonly (Operation | undefined)[]): number {
  let bytes = 0
  for (const operation of operations) bytes += operation === undefined ? RESULT_BYTES : bytesOf(operation)
  return bytes
}

function overloaded(message: string): KvError {
  return new OverloadedError(message, { outcome: 'not-applied', retryAfterMs: RETRY_AFTER_MS })
}

function unknownKind(): KvError {
  const message = 'this gateway does not know the operation: upgrade it'
  return new UnsupportedError(message, { outcome: 'not-applied' })
}
