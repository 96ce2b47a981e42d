import { type Client, type ClientDuplexStream, connectivityState, type ServiceError } from '@grpc/grpc-js'
import { type KvError, WrongPeerError } from '../errors/index.js'
import { openClient, type Pulse } from './channel.js'
import { refusalOf } from './errors.js'
import type { BatchRequest, BatchResponse } from './gen/kvorum/v1/kv.js'
import { BATCH } from './methods.js'
import { metadataFor, type PeerIdentity } from './peer.js'

/**
 * `broken` comes at most once, and nothing comes after it or after `close`. None comes from within the constructor. A
 * WrongPeerError or an OverloadedError as its cause: the peer is somebody else than was meant, or has no room for one more
 * stream, and has done nothing of what was written.
 */
export interface ConnectionHandlers {
  opened(): void
  received(message: BatchResponse): void
  broken(cause: unknown): void
}

export interface LaneConnection {
  /** Only after `opened`. */
  write(message: BatchRequest): void
  /** Frees everything; calls no handler. */
  close(): void
}

/**
 * A client of its own with one Batch stream on it, for one life of a lane: a new connection never inherits the backoff
 * or the half-dead session of an old one (grpc-node#2785).
 *
 * The stream is made once the channel is READY, which grpc-js reports after the peer's SETTINGS frame: so that what is
 * written goes to a living process, and what could not be written is known to be unsent.
 */
export class GrpcLaneConnection implements LaneConnection {
  readonly #client: Client
  readonly #handlers: ConnectionHandlers
  #stream: ClientDuplexStream<BatchRequest, BatchResponse> | undefined
  #answered = false
  #done = false

  constructor(
    readonly address: string,
    handlers: ConnectionHandlers,
    private readonly peer?: PeerIdentity,
    pulse?: Pulse,
  ) {
    this.#handlers = handlers
    this.#client = openClient(address, { pulse })
    this.#awaitReady()
  }

  write(message: BatchRequest): void {
    this.#stream?.write(message)
  }

  close(): void {
    this.#done = true
    this.#stream?.cancel()
    this.#client.close()
  }

  #awaitReady(): void {
    const channel = this.#client.getChannel()
    const state = channel.getConnectivityState(true)
    if (state === connectivityState.READY) {
      this.#open()
      return
    }
    if (state === connectivityState.TRANSIENT_FAILURE) {
      this.#break(new Error(`cannot connect to ${this.address}`))
      return
    }
    // The time-out of connecting is the lane's.
    channel.watchConnectivityState(state, Number.POSITIVE_INFINITY, () => {
      if (!this.#done) this.#awaitReady()
    })
  }

  #open(): void {
    const stream = this.#client.makeBidiStreamRequest(
      BATCH.path,
      BATCH.requestSerialize,
      BATCH.responseDeserialize,
      metadataFor(this.peer),
    )
    this.#stream = stream
    stream.on('data', (message: BatchResponse) => {
      this.#answered = true
      if (!this.#done) this.#handlers.received(message)
    })
    // Stays for good: cancelling the stream ends in an error event, too.
    stream.on('error', (error: ServiceError) => this.#break(this.#refusal(error) ?? error))
    stream.on('end', () => this.#break(new Error(`${this.address} ended the stream`)))
    this.#handlers.opened()
  }

  /** Peers look whom we mean, and whether they have room, before anything else: one that has answered has not refused. */
  #refusal(error: ServiceError): KvError | undefined {
    const refusal = this.#answered ? undefined : refusalOf(error)
    return this.peer === undefined && refusal instanceof WrongPeerError ? undefined : refusal
  }

  #break(cause: unknown): void {
    if (this.#done) return
    this.close()
    this.#handlers.broken(cause)
  }
}
