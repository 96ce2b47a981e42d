import type {
  handleUnaryCall,
  ServerUnaryCall,
  ServerWritableStream,
  ServiceDefinition,
  UntypedServiceImplementation,
} from '@grpc/grpc-js'
import { type Clock, systemClock } from '../core/clock.js'
import type { ClusterMap } from '../core/topology.js'
import type { TransactionOperation, TransactionResult } from '../core/transaction.js'
import { toKvError, UnsupportedError } from '../errors/index.js'
import { type BatchCall, BatchStream } from './batch-stream.js'
import { clusterMapToWire } from './cluster-map.js'
import { cut } from './cut.js'
import { statusOf } from './errors.js'
import type {
  ClusterMapRequest,
  ClusterMapResponse,
  CountRequest,
  CountResponse,
  DeleteRequest,
  DeleteResponse,
  GetRequest,
  GetResponse,
  PutRequest,
  PutResponse,
  ScanRequest,
  ScanResponse,
  TransactionRequest,
  TransactionResponse,
  WatchRequest,
  WatchResponse,
} from './gen/kvorum/v1/kv.js'
import { KVService } from './gen/kvorum/v1/kv.js'
import { type KeyValuePair, KVStoreService, type Status, type String as Text, type ValueReturn } from './gen/kvstore.js'
import type { Service } from './listener.js'
import { SERVER_BATCH } from './methods.js'
import { transactionFromWire, transactionResultToWire } from './transaction.js'

/** How long a client of a stream may read nothing of it. */
const STALLED_MS = 10_000

/** What a server learns of a unary call besides its request. */
export interface CallInfo {
  /** What the client still waits, in ms; undefined when it did not say. */
  readonly deadlineMs: number | undefined
  /** Aborted when the client has gone, or waits no longer. */
  readonly signal: AbortSignal
}

export type { WatchRequest as WatchQuestion, WatchResponse as WatchAnswer } from './gen/kvorum/v1/kv.js'

/** What a server of kvorum.v1.KV does. Unary handlers reject with a KvError (anything else becomes INTERNAL). */
export interface KvHandlers {
  get(request: GetRequest, call: CallInfo): Promise<GetResponse>
  put(request: PutRequest, call: CallInfo): Promise<PutResponse>
  delete(request: DeleteRequest, call: CallInfo): Promise<DeleteResponse>
  transaction(operation: TransactionOperation, call: CallInfo): Promise<TransactionResult>
  scan?(request: ScanRequest, call: CallInfo): Promise<ScanResponse>
  count?(request: CountRequest, call: CallInfo): Promise<CountResponse>
  /** Each Batch stream, when it begins: the handler listens to it. */
  batch(stream: BatchStream): void
  /** Maps to send, from the current one on, until `signal` is aborted because the client has gone. */
  clusterMap(signal: AbortSignal): AsyncIterable<ClusterMap>
  /**
   * What changes, until `signal` is aborted because the client has gone. It is asked for more only when the client has read. A server
   * without it says UNSUPPORTED.
   */
  watch?(request: WatchRequest, signal: AbortSignal): AsyncIterable<WatchResponse>
}

export function kvService(handlers: KvHandlers, clock: Clock = systemClock): Service {
  return service(
    { ...KVService, batch: SERVER_BATCH },
    {
      get: unary((request: GetRequest, call) => handlers.get(request, call), 'read', clock),
      put: unary((request: PutRequest, call) => handlers.put(request, call), 'write', clock),
      delete: unary((request: DeleteRequest, call) => handlers.delete(request, call), 'write', clock),
      transaction: unary((request: TransactionRequest, call) => transact(request, call, handlers), 'write', clock),
      scan: unary((request: ScanRequest, call) => handlers.scan?.(request, call) ?? unserved(), 'read', clock),
      count: unary((request: CountRequest, call) => handlers.count?.(request, call) ?? unserved(), 'read', clock),
      batch: (call: BatchCall) => handlers.batch(new BatchStream(call)),
      watch: serverStream((request: WatchRequest, signal) => handlers.watch?.(request, signal) ?? unwatched(), clock),
      clusterMap: serverStream((_: ClusterMapRequest, signal) => mapsOnTheWire(handlers.clusterMap(signal))),
    },
  )
}

async function transact(
  request: TransactionRequest,
  call: CallInfo,
  handlers: KvHandlers,
): Promise<TransactionResponse> {
  const operation = transactionFromWire(request)
  if (operation !== undefined) return transactionResultToWire(await handlers.transaction(operation, call))
  const message = 'this gateway does not know a part of the transaction: upgrade it'
  throw new UnsupportedError(message, { outcome: 'not-applied' })
}

function unserved(): Promise<never> {
  return Promise.reject(new UnsupportedError('scans are not served here', { outcome: 'not-applied' }))
}

/** The compat service. Its failures travel in the answers: a handler that rejects is a fault, and ends with INTERNAL. */
export interface KvStoreHandlers {
  get(request: Text, call: CallInfo): Promise<ValueReturn>
  put(request: KeyValuePair, call: CallInfo): Promise<Status>
  delete(request: Text, call: CallInfo): Promise<Status>
}

export function kvStoreService(handlers: KvStoreHandlers, clock: Clock = systemClock): Service {
  return service(KVStoreService, {
    get: unary((request: Text, call) => handlers.get(request, call), 'read', clock),
    put: unary((request: KeyValuePair, call) => handlers.put(request, call), 'write', clock),
    delete: unary((request: Text, call) => handlers.delete(request, call), 'write', clock),
  })
}

function service(definition: ServiceDefinition, implementation: UntypedServiceImplementation): Service {
  return { definition, implementation }
}

/** A unary method of any service: deadlines in, KvErrors out. */
export function unary<Req, Res>(
  handler: (request: Req, call: CallInfo) => Promise<Res>,
  effect: 'read' | 'write',
  clock: Clock,
): handleUnaryCall<Req, Res> {
  return (call, callback) => {
    const deadline = call.getDeadline()
    const atMs = typeof deadline === 'number' ? deadline : deadline.getTime()
    const info: CallInfo = {
      deadlineMs: Number.isFinite(atMs) ? atMs - clock.now() : undefined,
      // Only when it is asked for: most calls are over before that costs less than they do.
      get signal() {
        return signalOf(call)
      },
    }
    const refuse = (thrown: unknown) => {
      callback(statusOf(toKvError(thrown, effect === 'read' ? 'not-applied' : 'unknown')))
    }
    handler(call.request, info).then((response) => callback(null, response), refuse)
  }
}

function signalOf(call: ServerUnaryCall<unknown, unknown>): AbortSignal {
  const gone = new AbortController()
  const abort = () => gone.abort(new Error('the client has gone'))
  if (call.cancelled) abort()
  else call.once('cancelled', abort)
  return gone.signal
}

/** A server-streaming method of any service. The handler's signal is aborted when the client has gone. */
export function serverStream<Req, Res>(
  handler: (request: Req, signal: AbortSignal) => AsyncIterable<Res>,
  clock: Clock = systemClock,
): (call: ServerWritableStream<Req, Res>) => void {
  return (call) => {
    void serveStream(call, handler, clock)
  }
}

async function serveStream<Req, Res>(
  call: ServerWritableStream<Req, Res>,
  handler: (request: Req, signal: AbortSignal) => AsyncIterable<Res>,
  clock: Clock,
): Promise<void> {
  const gone = new AbortController()
  call.on('cancelled', () => gone.abort())
  call.on('close', () => gone.abort())
  call.on('error', () => gone.abort())
  try {
    for await (const message of handler(call.request, gone.signal)) {
      if (gone.signal.aborted) return
      // Who does not read is not written for: what it is to get waits where it comes from.
      if (!call.write(message)) await drained(call, gone.signal, clock)
    }
    call.end()
  } catch (thrown) {
    const error = toKvError(thrown, 'not-applied')
    // grpc-js answers an error event with its status; `destroy` would leave the client without one.
    call.emit('error', Object.assign(new Error(error.message), statusOf(error)))
  }
}

function unwatched(): never {
  throw new UnsupportedError('this server has no watches', { outcome: 'not-applied' })
}

/** Who reads nothing for long enough is cut: it would hold what it has not read, and its place, for ever. */
function drained(call: ServerWritableStream<unknown, unknown>, signal: AbortSignal, clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    const stalled = clock.setTimeout(() => cut(call), STALLED_MS)
    const over = () => {
      stalled.cancel()
      call.off('drain', over)
      signal.removeEventListener('abort', over)
      resolve()
    }
    call.on('drain', over)
    signal.addEventListener('abort', over, { once: true })
    if (signal.aborted) over()
  })
}

async function* mapsOnTheWire(maps: AsyncIterable<ClusterMap>): AsyncGenerator<ClusterMapResponse> {
  for await (const map of maps) yield { map: clusterMapToWire(map) }
}
