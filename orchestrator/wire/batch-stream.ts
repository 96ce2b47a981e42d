import type { ServerDuplexStream } from '@grpc/grpc-js'
import type { Operation, Result, Stamp } from '../core/operation.js'
import type { KvError } from '../errors/index.js'
import { operationFromWire, resultToWire } from './convert.js'
import type { BatchRequest, BatchResponse } from './gen/kvorum/v1/kv.js'
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

export interface BatchListener {
  onMessage(message: BatchMessage): void
  /** The client sends no more, and still waits for answers. */
  onEnd(): void
  /** Nothing can be sent any more, whoever ended the stream. Comes once. */
  onGone(): void
}

const WHOLE: readonly number[] = []

/** The server's side of one Batch stream. It decides nothing: who reads on, and until when, is the gateway's business. */
export class BatchStream {
  readonly #call: ServerDuplexStream<BatchRequest, BatchResponse>
  #gone = false

  constructor(call: ServerDuplexStream<BatchRequest, BatchResponse>) {
    this.#call = call
  }

  /** Starts reading. To be called once. */
  listen(listener: BatchListener): void {
    const gone = (): void => {
      if (this.#gone) return
      this.#gone = true
      listener.onGone()
    }
    this.#call.on('data', ({ id, epoch, timeoutMs, operations, sessions }: BatchRequest) => {
      const stamps = stampsFromWire(operations, sessions)
      listener.onMessage({ id, epoch, timeoutMs, operations: operations.map(operationFromWire), stamps })
    })
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
    const message = { id, results: results.map(resultToWire), positions: [...positions] }
    this.#call.write(message, (error?: Error | null) => {
      if (error === undefined || error === null) sent()
    })
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
}
