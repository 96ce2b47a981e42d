// One Batch stream of a client: each message's operations go to the Store one by one, and its answer goes back when
// the last of them is done, or in parts when some take much longer than others. Memory is bounded three ways: messages
// open at once (past it the stream is not read, and HTTP/2 holds the client back), and bytes per stream and per gateway
// (past them: OVERLOADED). A message holds its place and its bytes until its last answer has been written, so a client
// that does not read is not read from.
import type { Timer } from '../core/clock.js'
import { type KvError, TooLargeError } from '../errors/index.js'
import type { BatchOutline } from '../wire/batch-outline.js'
import type { BatchListener, BatchMessage, BatchStream, Refusal } from '../wire/batch-stream.js'
import { Budget } from './budget.js'
import type { GatewayContext } from './context.js'
import { Patience } from './patience.js'
import { ReadGate } from './read-gate.js'
import type { Reader } from './readers.js'
import { type Answer, overloaded, Work, type WorkListener } from './work.js'

/** What a session needs of its stream; a test gives its own. */
export type BatchPort = Pick<BatchStream, keyof BatchStream>

/** Messages of one stream of which no answer has been written. A lane keeps one or two in flight, and up to 32 while
 * one shard answers slowly and the others do not. */
const SILENT_MESSAGES_MAX = 64
/** All that are being worked on or written. What is left of a message that was answered in part is small, but while a
 * shard has no majority it stays for as long as its client waits, and there are more with every moment. */
const OPEN_MESSAGES_MAX = 1024
/** What an operation weighs beside its bytes: the objects around it. */
const OVERHEAD_BYTES = 256
/** The share of the gateway's bytes that one stream may hold: one client cannot starve the others. */
const STREAM_SHARE = 1 / 4

type Written = Pick<Answer, 'requestBytes' | 'valueBytes' | 'first' | 'last'>
const REFUSAL: Written = { requestBytes: 0, valueBytes: 0, first: true, last: true }

/** For a stream's values, so many full answers and a value more: one is on its way, the next one gathers. */
const ANSWERS_HELD = 2

export class BatchSession implements BatchListener, WorkListener, Reader {
  readonly #context: GatewayContext
  readonly #stream: BatchPort
  readonly #budget: Budget
  readonly #gate: ReadGate
  readonly #patience: Patience
  readonly #onGone: (session: BatchSession) => void
  #open = 0
  /** Of the open messages, those of which no answer has been written. */
  #silent = 0
  #full = false
  #ending = false
  #gone = false
  /** What the message that is about to come has taken. */
  #taken = 0
  #resting: Timer | undefined
  /** Refusals that are not sent yet. They have no budget: a stream that has one is not read. */
  #refusals = 0

  constructor(context: GatewayContext, stream: BatchPort, onGone: (session: BatchSession) => void) {
    this.#context = context
    this.#stream = stream
    const { batchBytesMax, inFlightBytesMax, valueBytesMax } = context.limits
    this.#budget = new Budget(inFlightBytesMax * STREAM_SHARE, context.budget)
    const values = new Budget(ANSWERS_HELD * batchBytesMax + valueBytesMax, context.values)
    this.#gate = new ReadGate({
      clock: context.clock,
      values,
      firstGuess: Math.min(batchBytesMax / 16, inFlightBytesMax / 256),
      crowd: context.crowd,
      changed: () => this.#steer(),
    })
    this.#patience = new Patience(context.clock, (work) => this.#answer(work))
    this.#onGone = onGone
    context.readers.join(this)
    stream.listen(this)
  }

  /** Takes no more messages, answers those that it has, and ends the stream. */
  drain(): void {
    this.#ending = true
    this.#stream.pause()
    this.#endIfDone()
  }

  /** Before the message is decoded: takes its bytes, or says why not. Who is refused is not read for a while. */
  admit(outline: BatchOutline): Refusal | undefined {
    this.#open++
    this.#silent++
    this.#steer()
    const error = this.#refusal(outline)
    if (error === undefined) return undefined
    this.#refusals++
    this.#context.readers.wrote(this)
    this.#rest(this.#context.toll.charge(outline.operations))
    return { error, sent: () => this.#refused() }
  }

  onMessage(message: BatchMessage): void {
    const bytes = this.#taken
    this.#taken = 0
    new Work(this.#context, this.#gate, message, bytes, this).begin()
  }

  onEnd(): void {
    this.#ending = true
    this.#endIfDone()
  }

  onGone(): void {
    this.#gone = true
    this.#ending = true
    this.#context.readers.leave(this)
    this.#gate.close()
    this.#budget.close()
    this.#patience.close()
    this.#wake()
    this.#onGone(this)
  }

  cut(): void {
    this.#stream.cut()
  }

  relent(): void {
    this.#gate.forget()
  }

  onPart(work: Work): void {
    if (!this.#gone) this.#patience.begin(work)
  }

  onDone(work: Work): void {
    if (this.#gone) return
    this.#patience.end(work)
    this.#answer(work)
  }

  #answer(work: Work): void {
    const answer = work.take()
    this.#context.readers.wrote(this)
    this.#stream.send(work.id, answer.results, () => this.#written(answer), answer.positions)
  }

  #written({ requestBytes, valueBytes, first, last }: Written): void {
    // Written in the same moment in which the stream broke: everything was given back then.
    if (this.#gone) return
    this.#context.readers.took(this)
    if (first) this.#silent--
    if (last) this.#open--
    this.#budget.give(requestBytes)
    this.#gate.give(valueBytes)
    this.#gate.pump()
    this.#steer()
    this.#endIfDone()
  }

  /** Takes the message's bytes, or says why not. */
  #refusal({ bytes, operations, sessions, parts }: BatchOutline): KvError | undefined {
    const { batchOperationsMax } = this.#context.limits
    if (operations > batchOperationsMax) {
      const message = `the message has ${operations} operations, the limit is ${batchOperationsMax}`
      return new TooLargeError(message, { outcome: 'not-applied' })
    }
    const full = this.#context.full()
    if (full !== undefined) return full
    const weight = bytes + (operations + sessions + parts) * OVERHEAD_BYTES
    if (!this.#budget.take(weight)) {
      this.#context.readers.shed()
      return overloaded('the gateway holds as many bytes as it may')
    }
    this.#taken = weight
    return undefined
  }

  #refused(): void {
    this.#refusals--
    this.#written(REFUSAL)
  }

  #rest(ms: number): void {
    this.#wake()
    this.#resting = this.#context.clock.setTimeout(() => {
      this.#wake()
      this.#steer()
    }, ms)
    this.#steer()
  }

  #wake(): void {
    if (this.#resting === undefined) return
    this.#resting.cancel()
    this.#resting = undefined
    this.#context.toll.rested()
  }

  /** Reads from the client, or does not: whatever changes with what is open. */
  #steer(): void {
    const crowded = this.#silent >= SILENT_MESSAGES_MAX || this.#open >= OPEN_MESSAGES_MAX
    const full = crowded || this.#gate.crowded || this.#resting !== undefined || this.#refusals > 0
    if (full === this.#full) return
    this.#full = full
    if (full) this.#stream.pause()
    else if (!this.#ending) this.#stream.resume()
  }

  #endIfDone(): void {
    if (this.#ending && this.#open === 0) this.#stream.end()
  }
}
