import type { ServerDuplexStream } from '@grpc/grpc-js'
import { BATCH_OPERATIONS_TOP } from '../core/limits.js'
import type { Operation, Result, Stamp } from '../core/operation.js'
import { invalidArgument, type KvError } from '../errors/index.js'
import { encodeAnswer } from './batch-answer.js'
import { type BatchOutline, outlineOf, sameForAll } from './batch-outline.js'
import { operationFromWire } from './convert.js'
import { cut } from './cut.js'
import { statusOf } from './errors.js'
import { BatchRequest } from './gen/kvorum/v1/kv.js'
import { stampsFromWire } from './stamps.js'

/** One message that came in on a Batch stream. */
export interface BatchMessage {
  /** The answer repeats it. */
  readonly id: bigint
  /** The epoch of the map that the client routed by. */
  readonly epoch: bigint
  /** How long the client will wait, from now. 0 when it did not say. */
  readonly timeoutMs: number
  /** Undefined where this version does not know the kind of the operation: answer UNSUPPORTED. */
  readonly operations: readonly (Operation | undefined)[]
  /** By position; empty when none of them has one. */
  readonly stamps: readonly (Stamp | undefined)[]
}

export interface Refusal {
  readonly error: KvError
  /** Called when the transport has taken the answer. */
  readonly sent: () => void
}

/** A server's messages come and go as their bytes. */
export type BatchCall = ServerDuplexStream<Uint8Array, Uint8Array>

export interface BatchListener {
  /** Asked before a message is decoded. What is refused is answered here, and is no message. Left out: all are taken. */
  admit?(outline: BatchOutline): Refusal | undefined
  onMessage(message: BatchMessage): void
  /** The client sends no more, and still waits for answers. */
  onEnd(): void
  /** Nothing can be sent any more, whoever ended the stream. Comes once. */
  onGone(): void
}

const WHOLE: readonly number[] = []

/** The server's side of one Batch stream. It decides nothing: who reads on, and until when, is the gateway's business. */
export class BatchStream {
  readonly #call: BatchCall
  #gone = false

  constructor(call: BatchCall) {
    this.#call = call
    readAheadOne(call)
  }

  /** Starts reading. To be called once. */
  listen(listener: BatchListener): void {
    const gone = (): void => {
      if (this.#gone) return
      this.#gone = true
      listener.onGone()
    }
    this.#call.on('data', (bytes: Uint8Array) => this.#take(bytes, listener))
    this.#call.on('end', () => listener.onEnd())
    this.#call.on('cancelled', gone)
    this.#call.on('close', gone)
    // A broken stream says so here as well; it is no fault of ours.
    this.#call.on('error', gone)
  }

  /**
   * Sends an answer: one result per operation, in their order, or a part of it, which says of which operations its
   * results are. `sent` is called when the transport has taken it, which a client that does not read puts off; it is
   * never called when the stream breaks before.
   */
  send(
    id: bigint,
    results: readonly (Result | KvError)[],
    sent: () => void,
    positions: readonly number[] = WHOLE,
  ): void {
    if (this.#gone) return
    this.#write(encodeAnswer(id, results, positions), sent)
  }

  /** Ends the stream with an error instead of an answer. */
  fail(error: KvError): void {
    // grpc-js answers an error event with its status; `destroy` would leave the client without one.
    if (!this.#gone) this.#call.emit('error', Object.assign(new Error(error.message), statusOf(error)))
  }

  /** Stops taking messages, so that the client's flow-control window fills up. */
  pause(): void {
    this.#call.pause()
  }

  resume(): void {
    this.#call.resume()
  }

  /** Ends the stream in order, after what was sent. */
  end(): void {
    if (!this.#gone) this.#call.end()
  }

  /** Ends the stream now and drops what was not sent: for a client that does not read, which would keep any other end waiting. */
  cut(): void {
    if (!this.#gone) cut(this.#call)
  }

  #take(bytes: Uint8Array, listener: BatchListener): void {
    if (this.#gone) return
    const outline = outlineOf(bytes)
    if (outline === undefined || outline.operations > BATCH_OPERATIONS_TOP) {
      const message = `no BatchRequest, or one of more than ${BATCH_OPERATIONS_TOP} operations`
      this.fail(invalidArgument(message))
      return
    }
    const refusal = listener.admit?.(outline)
    if (refusal !== undefined) {
      this.#write(sameForAll(outline, refusal.error), refusal.sent)
      return
    }
    let message: BatchMessage
    try {
      message = decode(bytes)
    } catch (cause) {
      this.fail(invalidArgument('a message that is no BatchRequest', cause))
      return
    }
    listener.onMessage(message)
  }

  #write(message: Uint8Array, sent: () => void): void {
    this.#call.write(message, (error?: Error | null) => {
      if (error === undefined || error === null) sent()
    })
  }
}

function decode(bytes: Uint8Array): BatchMessage {
  const { id, epoch, timeoutMs, operations, sessions } = BatchRequest.decode(bytes)
  const stamps = stampsFromWire(operations, sessions, epoch)
  return { id, epoch, timeoutMs, operations: operations.map(operationFromWire), stamps }
}

/**
 * A stream of objects reads 16 of them ahead: of a paused stream, up to 16 messages of megabytes. There is no option for
 * that in grpc-js, and no setter in Node.js. gateway/slow-reader.test.ts counts what is read.
 */
function readAheadOne(call: BatchCall): void {
  const { _readableState: state } = call as { _readableState?: { highWaterMark: number } }
  if (state !== undefined) state.highWaterMark = 1
}
