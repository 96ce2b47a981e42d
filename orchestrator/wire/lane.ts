import type { Clock, Timer } from '../core/clock.js'
import type { Limits } from '../core/limits.js'
import { isRead, isStale, isWrite, type Result } from '../core/operation.js'
import type { Rng } from '../core/rng.js'
import {
  CancelledError,
  DeadlineExceededError,
  KvError,
  OverloadedError,
  UnavailableError,
  WrongPeerError,
} from '../errors/index.js'
import type { Pulse } from './channel.js'
import { resultFromWire } from './convert.js'
import type { BatchResponse } from './gen/kvorum/v1/kv.js'
import { type ConnectionHandlers, GrpcLaneConnection, type LaneConnection } from './lane-connection.js'
import { type FlightKind, Flights, type Landed } from './lane-flights.js'
import { LaneHealth, TICK_MS } from './lane-health.js'
import { LaneQueue } from './lane-queue.js'
import type { LaneRequest } from './lane-request.js'
import type { PeerIdentity } from './peer.js'
import { ReadSizer } from './read-sizer.js'
import { requestsToWire } from './stamps.js'

export interface LaneOptions {
  /** Whom it is to carry to; undefined: to whoever listens there. */
  readonly peer?: PeerIdentity
  readonly limits: Limits
  readonly clock: Clock
  readonly rng: Rng
  /** The epoch of the map that requests are routed by; 0 where there is no map. */
  readonly epoch: () => bigint
  /** Ms without any answer, while some are owed, after which others should be asked. Infinity: never. */
  readonly stallMs: number
  /**
   * Ms after which a message that has no answer does not hold back the next one. Infinity for a node, whose operations
   * all go one way; short for a gateway, where a message may wait for one shard while the others are well.
   */
  readonly patienceMs: number
  /** A gateway is at one end: a message on this lane is one message more on another, and three processes handle it. Default false. */
  readonly relayed?: boolean
  /** How soon a peer whose process hangs is found, where silence alone does not say so. Default: within 25 s. */
  readonly pulse?: Pulse
  /** Told of changes before the requests that they concern are completed. */
  readonly onChange?: (change: LaneChange) => void
  /** For tests. */
  readonly connect?: (address: string, handlers: ConnectionHandlers, peer?: PeerIdentity) => LaneConnection
}

export type LaneChange =
  | { readonly kind: 'open' }
  | { readonly kind: 'down'; readonly cause: unknown }
  | { readonly kind: 'stalled' }
  | { readonly kind: 'recovered' }

type MakeError = (outcome: 'not-applied' | 'unknown') => KvError

/**
 * The peer is given so much less time than there is, or a quarter less: if it then says that it did nothing, that still arrives, where we
 * alone could only say `unknown`.
 */
const ANSWER_MS_MAX = 30
/**
 * So many reads are worth a message of their own beside one that is under way: else the callers of a lane, once they are all
 * answered by one message, ask again by one message, and client and peer work in turn. Writes are not: a message of them
 * also costs three fsyncs.
 */
const SECOND_READS_MIN = 32
/** Where a gateway takes part a message costs twice as much: this share of a full one, by the sizes seen, must be in it. */
const SECOND_SHARE_RELAYED = 1 / 8
/** Pages of scans are large, and read for some ms each: they travel apart, so that no get waits behind them. */
const PAGES_PER_MESSAGE = 8
/** Messages in flight without any answer, when patience lets more than one of a kind go. */
const SILENT_FLIGHTS_MAX = 32
/** All messages in flight: what is left of those that were answered in part is small, but may have to stay for long. */
const FLIGHTS_MAX = 512

/**
 * A batched stream to one peer. What is sent in one turn of the event loop goes out as one message of reads and one of
 * writes. At most one of each is in flight, or two of many reads: on a busy machine that is fastest, because what comes
 * meanwhile gathers into the next. It connects when there is something to send, and after a failure not before its backoff is over: until
 * then `send` refuses at once, so that somebody else can be asked.
 *
 * Outcomes are honest: what was not handed to the stream is `not-applied`; a write that was, and whose answer will not
 * come, is `unknown`, unless the peer was somebody else and refused it all; a read is always `not-applied`. Memory is bounded by who sends (store/executor.ts).
 */
export class Lane {
  readonly #options: LaneOptions
  readonly #health: LaneHealth
  readonly #sizer: ReadSizer
  readonly #reads = new LaneQueue()
  readonly #staleReads = new LaneQueue()
  readonly #pages = new LaneQueue()
  readonly #writes = new LaneQueue()
  readonly #flights = new Flights()
  readonly #youngTicks: number
  #state: 'idle' | 'connecting' | 'open' | 'closed' = 'idle'
  #connection: LaneConnection | undefined
  #nextId = 1n
  #flushing = false
  #timer: Timer | undefined
  #retired = false

  constructor(
    readonly address: string,
    options: LaneOptions,
  ) {
    this.#options = options
    this.#health = new LaneHealth(options)
    this.#sizer = new ReadSizer(options.limits.batchBytesMax, options.limits.batchOperationsMax)
    this.#youngTicks = options.patienceMs / TICK_MS
  }

  /** Whether `send` would try. */
  get usable(): boolean {
    if (this.#state === 'closed' || this.#retired || this.#health.stalled) return false
    return this.#state !== 'idle' || this.#health.mayConnect
  }

  /** Whether what is sent goes out now, to a peer that was there a moment ago. */
  get open(): boolean {
    return this.#state === 'open' && this.usable
  }

  get closed(): boolean {
    return this.#state === 'closed'
  }

  /** May complete the request before it returns, when the lane is not usable. */
  send(request: LaneRequest): void {
    if (!this.usable) {
      request.complete(this.#unavailable('is not reachable now', 'not-applied'), undefined)
      return
    }
    this.#queueOf(request).push(request)
    if (this.#state === 'idle') this.#connect()
    this.#scheduleFlush()
    this.#watch()
  }

  /** Connects, if it may, for whoever will send next. */
  warm(): void {
    if (this.#state !== 'idle' || !this.usable) return
    this.#connect()
    this.#watch()
  }

  /** Takes nothing new, and closes when what is in flight has been answered. */
  retire(): void {
    if (this.#state === 'closed' || this.#retired) return
    this.#retired = true
    const unsent = this.#takeQueues()
    this.#closeIfDone()
    refuse(unsent, this.#unavailable('is no longer used', 'not-applied'))
  }

  close(): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    const message = `the connection to ${this.address} was closed here`
    const open = this.#dropConnection()
    abandon(open, (outcome) => new CancelledError(message, { outcome, node: this.address }))
  }

  #queueOf({ operation }: LaneRequest): LaneQueue {
    if (operation.kind === 'page') return this.#pages
    if (!isRead(operation)) return this.#writes
    return isStale(operation) ? this.#staleReads : this.#reads
  }

  #connect(): void {
    this.#state = 'connecting'
    this.#health.expect()
    const { pulse } = this.#options
    const connect = this.#options.connect ?? ((...given) => new GrpcLaneConnection(...given, pulse))
    const handlers: ConnectionHandlers = {
      opened: () => this.#opened(),
      received: (message) => this.#received(message),
      broken: (cause) => this.#broke(cause),
    }
    this.#connection = connect(this.address, handlers, this.#options.peer)
  }

  #opened(): void {
    this.#state = 'open'
    this.#options.onChange?.({ kind: 'open' })
    this.#scheduleFlush()
  }

  /** At the end of this turn of the event loop, so that all of what it brings goes into one message. */
  #scheduleFlush(): void {
    if (this.#flushing) return
    const may =
      this.#mayFly(this.#writes, 'write') ||
      this.#mayFly(this.#reads, 'read') ||
      this.#mayFly(this.#staleReads, 'stale') ||
      this.#mayFly(this.#pages, 'page')
    if (!may) return
    this.#flushing = true
    setImmediate(() => {
      this.#flushing = false
      this.#flush(this.#writes, 'write', this.#options.limits.batchOperationsMax)
      this.#flush(this.#reads, 'read', this.#sizer.operationsPerMessage)
      this.#flush(this.#staleReads, 'stale', this.#sizer.operationsPerMessage)
      this.#flush(this.#pages, 'page', PAGES_PER_MESSAGE)
    })
  }

  get #secondReadsMin(): number {
    if (this.#options.relayed !== true) return SECOND_READS_MIN
    return Math.max(SECOND_READS_MIN, this.#sizer.operationsPerMessage * SECOND_SHARE_RELAYED)
  }

  #flush(queue: LaneQueue, kind: FlightKind, operationsMax: number): void {
    while (this.#mayFly(queue, kind)) {
      const many = kind !== 'write' && queue.length >= 2 * this.#secondReadsMin
      const share = many ? Math.ceil(queue.length / 2) : queue.length
      const requests = queue.take(Math.min(share, operationsMax), this.#options.limits.batchBytesMax)
      if (requests.length > 0) this.#fly(requests, kind)
    }
  }

  #mayFly(queue: LaneQueue, kind: FlightKind): boolean {
    if (this.#state !== 'open' || queue.length === 0) return false
    if (this.#flights.count === 0) return true
    const young = this.#flights.countYoung(kind, this.#youngTicks)
    if (young > 1 || (young === 1 && (kind === 'write' || queue.length < this.#secondReadsMin))) return false
    if (this.#flights.count >= FLIGHTS_MAX || this.#flights.silent >= SILENT_FLIGHTS_MAX) return false
    return this.#flights.bytes < 2 * this.#options.limits.batchBytesMax
  }

  #fly(requests: LaneRequest[], kind: FlightKind): void {
    const now = this.#options.clock.monotonic()
    let bytes = 0
    let longestMs = 1
    for (const request of requests) {
      request.sent = true
      bytes += request.bytes
      // The longest of them: whose time runs out earlier is told so here.
      longestMs = Math.max(longestMs, request.deadline - now)
    }
    if (this.#flights.count === 0) this.#health.expect()
    const id = this.#nextId++
    this.#flights.add({ id, kind, requests, bytes })
    this.#connection?.write({
      id,
      epoch: this.#options.epoch(),
      timeoutMs: Math.ceil(longestMs - Math.min(ANSWER_MS_MAX, longestMs / 4)),
      ...requestsToWire(requests),
    })
  }

  #received(message: BatchResponse): void {
    const { results, positions } = message
    const landed = this.#flights.land(message.id, results.length, positions)
    if (landed === undefined) {
      this.#broke(new Error(`${this.address} answered what was not asked`))
      return
    }
    if (this.#health.heard()) this.#options.onChange?.({ kind: 'recovered' })
    if (landed.kind !== 'write') this.#sizer.saw(results, landed.operations)
    deliver(landed.requests, results)
    this.#closeIfDone()
    this.#scheduleFlush()
  }

  #watch(): void {
    if (this.#timer !== undefined || this.#state === 'closed') return
    const owed =
      this.#flights.count + this.#reads.length + this.#staleReads.length + this.#pages.length + this.#writes.length
    if (owed === 0 && this.#state !== 'connecting') return
    this.#timer = this.#options.clock.setTimeout(() => this.#tick(), TICK_MS)
  }

  #tick(): void {
    this.#timer = undefined
    this.#expire()
    this.#flights.tick()
    this.#judge()
    this.#scheduleFlush()
    this.#watch()
  }

  #expire(): void {
    const now = this.#options.clock.monotonic()
    const isOver = (request: LaneRequest) => request.deadline <= now || request.settled
    const over = [
      ...this.#flights.takeRequests(isOver),
      ...this.#writes.takeExpired(now),
      ...this.#reads.takeExpired(now),
      ...this.#staleReads.takeExpired(now),
      ...this.#pages.takeExpired(now),
    ]
    const message = `no answer from ${this.address} before the deadline`
    abandon(over, (outcome) => new DeadlineExceededError(message, { outcome, node: this.address }))
  }

  #judge(): void {
    if (this.#state === 'connecting') {
      if (this.#health.tickConnecting() === 'dead') this.#broke(new Error(`no connection to ${this.address} in time`))
    } else if (this.#flights.count > 0) {
      const verdict = this.#health.tickOwing(this.#flights.waitedFor)
      if (verdict === 'dead') this.#broke(new Error(`${this.address} has stopped answering`))
      if (verdict === 'stalled') this.#stall()
    }
  }

  /** The peer is silent. Everything had better be asked of somebody else, but for writes in flight without a number. */
  #stall(): void {
    this.#options.onChange?.({ kind: 'stalled' })
    const numbered = this.#flights.takeRequests(({ stamp }) => stamp !== undefined)
    const movable = this.#flights.takeRequests(({ operation }) => !isWrite(operation))
    movable.push(...this.#takeQueues())
    abandon(numbered, (outcome) => this.#unavailable('does not answer', outcome))
    refuse(movable, this.#unavailable('does not answer', 'not-applied'))
  }

  #broke(cause: unknown): void {
    const refused = cause instanceof WrongPeerError || cause instanceof OverloadedError
    // Perhaps the answer to them was too large to receive.
    if (this.#flights.reads && !refused) this.#sizer.broke()
    this.#state = this.#retired ? 'closed' : 'idle'
    this.#health.broke()
    const open = this.#dropConnection()
    this.#options.onChange?.({ kind: 'down', cause })
    if (refused) refuse(open, this.#unavailable(`has refused the stream: ${cause.message}`, 'not-applied', cause))
    else
      abandon(open, (outcome) => this.#unavailable('is not reachable, or the connection to it broke', outcome, cause))
  }

  #dropConnection(): LaneRequest[] {
    this.#connection?.close()
    this.#connection = undefined
    this.#timer?.cancel()
    this.#timer = undefined
    return [...this.#flights.takeAll(), ...this.#takeQueues()]
  }

  #takeQueues(): LaneRequest[] {
    return [
      ...this.#writes.takeAll(),
      ...this.#reads.takeAll(),
      ...this.#staleReads.takeAll(),
      ...this.#pages.takeAll(),
    ]
  }

  #closeIfDone(): void {
    if (this.#retired && this.#flights.count === 0) this.close()
  }

  #unavailable(what: string, outcome: 'not-applied' | 'unknown', cause?: unknown): KvError {
    return new UnavailableError(`${this.address} ${what}`, { outcome, node: this.address, cause })
  }
}

function deliver(requests: Landed['requests'], results: BatchResponse['results']): void {
  for (let at = 0; at < requests.length; at++) {
    const request = requests[at]
    const wire = results[at]
    if (request === undefined || wire === undefined) continue
    const answer: Result | KvError = resultFromWire(wire, request.operation.kind)
    if (answer instanceof KvError) request.complete(answer, undefined)
    else request.complete(undefined, answer)
  }
}

/** Completes requests whose answers will not come, each with what is known of it. */
function abandon(requests: readonly LaneRequest[], makeError: MakeError): void {
  if (requests.length === 0) return
  const isLost = (request: LaneRequest) => request.sent && isWrite(request.operation)
  const lost = requests.filter(isLost)
  const harmless = requests.filter((request) => !isLost(request))
  if (lost.length > 0) refuse(lost, makeError('unknown'))
  if (harmless.length > 0) refuse(harmless, makeError('not-applied'))
}

function refuse(requests: readonly LaneRequest[], error: KvError): void {
  for (const request of requests) request.complete(error, undefined)
}
