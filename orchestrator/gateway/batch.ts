// One Batch stream of a client: each message's operations go to the Store one by one, and its answer goes back when
// the last of them is done, or in parts when some take much longer than others. Memory is bounded three ways: messages
// open at once (past it the stream is not read, and HTTP/2 holds the client back), and bytes per stream and per gateway
// (past them: OVERLOADED). A message holds its place and its bytes until its last answer has been written, so a client
// that does not read is not read from.
import type { BatchListener, BatchMessage, BatchStream } from '../wire/batch-stream.js'
import { Budget } from './budget.js'
import type { GatewayContext } from './context.js'
import { Patience } from './patience.js'
import { Work, type WorkListener } from './work.js'

/** What a session needs of its stream; a test gives its own. */
export type BatchPort = Pick<BatchStream, keyof BatchStream>

/** Messages of one stream of which no answer has been written. A lane keeps one or two in flight, and up to 32 while
 * one shard answers slowly and the others do not. */
const SILENT_MESSAGES_MAX = 64
/** All that are being worked on or written. What is left of a message that was answered in part is small, but while a
 * shard has no majority it stays for as long as its client waits, and there are more with every moment. */
const OPEN_MESSAGES_MAX = 1024
/** The share of the gateway's bytes that one stream may hold: one client cannot starve the others. */
const STREAM_SHARE = 1 / 4

export class BatchSession implements BatchListener, WorkListener {
  readonly #context: GatewayContext
  readonly #stream: BatchPort
  readonly #budget: Budget
  readonly #patience: Patience
  readonly #onGone: (session: BatchSession) => void
  #open = 0
  /** Of the open messages, those of which no answer has been written. */
  #silent = 0
  #full = false
  #ending = false
  #gone = false

  constructor(context: GatewayContext, stream: BatchPort, onGone: (session: BatchSession) => void) {
    this.#context = context
    this.#stream = stream
    this.#budget = new Budget(context.limits.inFlightBytesMax * STREAM_SHARE, context.budget)
    this.#patience = new Patience(context.clock, (work) => this.#answer(work))
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
    this.#silent++
    this.#steer()
    new Work(this.#context, this.#budget, message, this).begin()
  }

  onEnd(): void {
    this.#ending = true
    this.#endIfDone()
  }

  onGone(): void {
    this.#gone = true
    this.#budget.close()
    this.#patience.close()
    this.#onGone(this)
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
    const { results, positions, bytes, first, last } = work.take()
    const written = (): void => {
      // Written in the same moment in which the stream broke: everything was given back then.
      if (this.#gone) return
      this.#budget.give(bytes)
      if (first) this.#silent--
      if (last) this.#open--
      this.#steer()
      this.#endIfDone()
    }
    this.#stream.send(work.id, results, written, positions)
  }

  /** Reads from the client, or does not: whatever changes with what is open. */
  #steer(): void {
    const full = this.#silent >= SILENT_MESSAGES_MAX || this.#open >= OPEN_MESSAGES_MAX
    if (full === this.#full) return
    this.#full = full
    if (full) this.#stream.pause()
    else if (!this.#ending) this.#stream.resume()
  }

  #endIfDone(): void {
    if (this.#ending && this.#open === 0) this.#stream.end()
  }
}
