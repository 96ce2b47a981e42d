import { Client, type ClientReadableStream, type MethodDefinition, type ServiceError } from '@grpc/grpc-js'
import { type Clock, systemClock } from '../core/clock.js'
import { GRPC_MESSAGE_BYTES_MAX } from '../core/limits.js'
import { CancelledError } from '../errors/index.js'
import { PlainCredentials } from './credentials.js'
import { errorFromStatus } from './errors.js'
import { metadataFor, type PeerIdentity } from './peer.js'

/** How soon a peer that hangs is found: it is pinged, and may take so long to answer. */
export interface Pulse {
  readonly everyMs: number
  readonly patienceMs: number
}

/** What is not as everywhere. */
export interface Manner {
  readonly pulse?: Pulse
  /** What a stream takes that is not read, bytes. */
  readonly windowBytes?: number
}

/** The one place that makes gRPC clients. TLS will come in here and nowhere else. */
export function openClient(address: string, { pulse, windowBytes }: Manner = {}): Client {
  const keepalive = pulse && { 'grpc.keepalive_time_ms': pulse.everyMs, 'grpc.keepalive_timeout_ms': pulse.patienceMs }
  const window = windowBytes === undefined ? undefined : { 'grpc-node.flow_control_window': windowBytes }
  return new Client(address, new PlainCredentials(), { ...CLIENT_OPTIONS, ...keepalive, ...window })
}

const CLIENT_OPTIONS = {
  'grpc.max_send_message_length': GRPC_MESSAGE_BYTES_MAX,
  'grpc.max_receive_message_length': GRPC_MESSAGE_BYTES_MAX,
  // HTTP/2 starts with 64 KiB: a message of values would wait for a window update every 64 KiB.
  'grpc-node.flow_control_window': 4 << 20,
  // One subchannel per client: what one client learns of a peer must not delay another, and close() really closes.
  'grpc.use_local_subchannel_pool': 1,
  // One layer owns retry, and it is ours (store/retry.ts).
  'grpc.enable_retries': 0,
  // Finds a peer that vanished without closing (power, cable). Nodes must allow pings this often.
  'grpc.keepalive_time_ms': 20_000,
  'grpc.keepalive_timeout_ms': 5_000,
  'grpc.initial_reconnect_backoff_ms': 20,
  'grpc.max_reconnect_backoff_ms': 500,
  // Nodes are ours and near: a proxy from the environment would only break them.
  'grpc.enable_http_proxy': 0,
  'grpc.service_config_disable_resolution': 1,
}

/** Whether a failed call can have changed anything. */
export type Effect = 'read' | 'write'

/**
 * Unary and server-streaming calls with one peer, each of which says whom it means if `peer` is given. `close` it, or the
 * process will not end.
 */
export class Channel {
  readonly #client: Client
  readonly #calls = new Set<{ cancel(): void }>()
  #closed = false

  constructor(
    readonly address: string,
    private readonly clock: Clock = systemClock,
    private readonly peer?: PeerIdentity,
    manner?: Manner,
  ) {
    this.#client = openClient(address, manner)
  }

  /** Rejects with a KvError, at the latest after `deadlineMs`. */
  unary<Req, Res>(method: MethodDefinition<Req, Res>, request: Req, effect: Effect, deadlineMs: number): Promise<Res> {
    if (this.#closed) return Promise.reject(this.#closedError())
    return new Promise((resolve, reject) => {
      const answer = (failure: ServiceError | null, response?: Res) => {
        this.#calls.delete(call)
        if (failure === null) resolve(response as Res)
        else reject(errorFromStatus(failure, { read: effect === 'read', address: this.address, deadlineMs }))
      }
      const options = { deadline: this.clock.now() + deadlineMs }
      const call = this.#client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        request,
        metadataFor(this.peer),
        options,
        answer,
      )
      this.#calls.add(call)
    })
  }

  /**
   * The messages of a server-streaming call, which starts with the first `next`. Ends when the server ends it or `signal`
   * is aborted; throws a KvError when it breaks. No deadline: keepalive finds a peer that is gone.
   */
  async *stream<Req, Res>(method: MethodDefinition<Req, Res>, request: Req, signal: AbortSignal): AsyncGenerator<Res> {
    if (signal.aborted) return
    if (this.#closed) throw this.#closedError()
    const call: ClientReadableStream<Res> = this.#client.makeServerStreamRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      request,
      metadataFor(this.peer),
    )
    this.#calls.add(call)
    const cancel = () => call.cancel()
    signal.addEventListener('abort', cancel, { once: true })
    try {
      for await (const message of call) yield message as Res
    } catch (failure) {
      if (!signal.aborted) throw errorFromStatus(failure as ServiceError, { read: true, address: this.address })
    } finally {
      signal.removeEventListener('abort', cancel)
      this.#calls.delete(call)
      call.cancel()
    }
  }

  /** Ends what is in progress with CANCELLED. */
  close(): void {
    this.#closed = true
    for (const call of this.#calls) call.cancel()
    this.#client.close()
  }

  #closedError(): CancelledError {
    return new CancelledError(`the channel to ${this.address} is closed`, { outcome: 'not-applied' })
  }
}
