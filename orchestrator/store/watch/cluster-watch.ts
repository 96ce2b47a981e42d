import { type Clock, sleep } from '../../core/clock.js'
import type { MapSource } from '../../core/map-source.js'
import { opaqueToText } from '../../core/opaque.js'
import type { Rng } from '../../core/rng.js'
import { hasHashTag, partitionOf } from '../../core/slot.js'
import { CancelledError, CompactedError, type KvError, toKvError } from '../../errors/index.js'
import type { GatewayMessage, KeyChange, NodeMessage, Position, Watched, WatchLinks } from '../../wire/watch.js'
import { Frontier } from './frontier.js'
import { followShard } from './line.js'
import { Overdue } from './overdue.js'
import { decodeToken } from './token.js'

export interface ClusterWatchOptions {
  readonly maps: MapSource
  readonly links: Pick<WatchLinks, 'watch'>
  readonly clock: Clock
  readonly rng: Rng
}

export interface ClusterWatchRequest {
  readonly watched: Watched
  /** As another watch of the same keys gave it; undefined: from now on. */
  readonly token: Uint8Array | undefined
  readonly signal: AbortSignal
}

/** A shard's message that is being taken. */
interface Delivery {
  readonly shard: number
  readonly message: NodeMessage
  /** Which of its events is next. */
  at: number
  readonly taken: () => void
}

/** Between two tries to begin while partitions change hands. */
const BEGIN_AGAIN_MS = 30
/** A shard that is followed. */
interface Line {
  readonly incarnation: number
  readonly end: AbortController
  readonly done: Promise<void>
}

/** How many changes are given at once. */
const EVENTS_MAX = 256

/**
 * The changes of the whole cluster, as one stream. Each message ends with the token to go on from; one without events is a mark of progress,
 * and the first one says that the watch has begun. Never more is held than one message of each shard. Ends by throwing: CANCELLED when
 * `signal` is aborted, COMPACTED with a token to go on from.
 */
export async function* watchCluster(
  options: ClusterWatchOptions,
  request: ClusterWatchRequest,
): AsyncGenerator<GatewayMessage> {
  const over = new AbortController()
  const end = () => over.abort()
  request.signal.addEventListener('abort', end, { once: true })
  if (request.signal.aborted) end()
  try {
    for (;;) {
      const watch = new ClusterWatch(options, { ...request, signal: over.signal })
      try {
        yield* watch.messages()
      } catch (thrown) {
        if (request.signal.aborted) throw cancelled(request.signal)
        throw await explained(options, request, over.signal, thrown)
      } finally {
        await watch.close()
      }
      if (request.signal.aborted) throw cancelled(request.signal)
      await sleep(options.clock, BEGIN_AGAIN_MS, over.signal).catch(() => {})
    }
  } finally {
    over.abort()
    request.signal.removeEventListener('abort', end)
  }
}

/** COMPACTED gets the token of now: whoever scans after that, and then watches from it, misses nothing. */
async function explained(
  options: ClusterWatchOptions,
  { watched }: ClusterWatchRequest,
  signal: AbortSignal,
  thrown: unknown,
): Promise<KvError> {
  const error = toKvError(thrown, 'not-applied')
  if (error.code !== 'COMPACTED') return error
  const message =
    'the changes since then are not kept any more: scan what is there, then watch from the token of this error'
  for await (const { token } of watchCluster(options, { watched, token: undefined, signal })) {
    return new CompactedError(message, {
      outcome: 'not-applied',
      shard: error.shard,
      token: opaqueToText(token),
      cause: error,
    })
  }
  return error
}

/** Where the shards' logs end now. */
async function endsOf(
  options: ClusterWatchOptions,
  request: ClusterWatchRequest,
): Promise<ReadonlyMap<number, Position>> {
  for await (const { token } of watchCluster(options, request)) {
    return decodeToken(token, options.maps.current().clusterId).positions
  }
  return new Map()
}

function cancelled(signal: AbortSignal): CancelledError {
  return new CancelledError('the watch was ended by its caller', {
    outcome: 'not-applied',
    cause: signal.reason as unknown,
  })
}

/** Whether keys of a partition may be watched: a whole hash tag in a prefix leaves one. */
function partitionsOf({ key, prefix }: Watched): (partition: number) => boolean {
  const fixed = key ?? (prefix !== undefined && hasHashTag(prefix) ? prefix : undefined)
  if (fixed === undefined) return () => true
  const only = partitionOf(fixed)
  return (partition) => partition === only
}

/** One try: from the beginning until somebody has to begin anew. */
class ClusterWatch {
  readonly #options: ClusterWatchOptions
  readonly #request: ClusterWatchRequest
  readonly #frontier: Frontier
  readonly #fresh: boolean
  readonly #over = new AbortController()
  readonly #lines = new Map<number, Line>()
  /** Lines that were ended, until they have. */
  readonly #ending = new Set<Promise<void>>()
  readonly #deliveries: Delivery[] = []
  /** Marks of progress that were not given on yet. */
  readonly #marks = new Map<number, NodeMessage>()
  readonly #overdue: Overdue
  #settled = false
  #failure: KvError | undefined
  #wake: () => void = () => {}

  constructor(options: ClusterWatchOptions, request: ClusterWatchRequest) {
    this.#options = options
    this.#request = request
    const { clusterId } = options.maps.current()
    const from = request.token === undefined ? undefined : decodeToken(request.token, clusterId)
    this.#fresh = from === undefined
    const ends = () => endsOf(options, { watched: request.watched, token: undefined, signal: this.#over.signal })
    this.#overdue = new Overdue({ clock: options.clock, ends, wake: () => this.#wake() })
    this.#frontier = new Frontier(clusterId, partitionsOf(request.watched), from)
  }

  /** Returns when it is to be tried again. */
  async *messages(): AsyncGenerator<GatewayMessage> {
    const { signal } = this.#request
    const wake = () => this.#wake()
    const unsubscribe = this.#options.maps.subscribe(wake)
    signal.addEventListener('abort', wake, { once: true })
    try {
      if (!(await this.#begin())) return
      yield { events: [], token: this.#frontier.token() }
      for (;;) {
        this.#followMap()
        const message = this.#next()
        if (message !== undefined) {
          yield message
        } else {
          this.#overdue.check(this.#deliveries, this.#lines.keys(), (shard) => this.#frontier.position(shard))
          await this.#news()
        }
        if (signal.aborted) return
        if (this.#failure !== undefined) throw this.#failure
      }
    } finally {
      unsubscribe()
      signal.removeEventListener('abort', wake)
    }
  }

  /** Resolves when nothing of it is left. */
  async close(): Promise<void> {
    this.#over.abort()
    for (const { end } of this.#lines.values()) end.abort()
    for (const delivery of this.#deliveries.splice(0)) delivery.taken()
    await Promise.all([...this.#lines.values()].map(({ done }) => done))
    await Promise.all(this.#ending)
    await this.#overdue.close()
  }

  /** Waits until every shard has begun. False: partitions change hands just now. */
  async #begin(): Promise<boolean> {
    for (;;) {
      // Those of the token first: a shard of the map may be another one by now.
      for (const id of this.#frontier.shards) this.#follow(id)
      for (const { id, incarnation } of this.#options.maps.current().shards) this.#follow(id, incarnation)
      if ([...this.#lines.keys()].every((id) => this.#frontier.hasBegun(id))) break
      await this.#news()
      if (this.#request.signal.aborted) return false
      if (this.#failure !== undefined) throw this.#failure
    }
    this.#settled = this.#frontier.settle(this.#fresh)
    if (this.#settled || this.#fresh) return this.#settled
    throw new CompactedError('the token does not say who had a partition', { outcome: 'not-applied' })
  }

  /** New shards are followed from their beginning; one that has gone, until it has given everything away. */
  #followMap(): void {
    const { shards } = this.#options.maps.current()
    for (const [id, line] of this.#lines) {
      const isThere = shards.some((shard) => shard.id === id && (shard.incarnation ?? 0) === line.incarnation)
      if (isThere || !this.#frontier.isEmpty(id)) continue
      line.end.abort()
      this.#ending.add(line.done)
      void line.done.then(() => this.#ending.delete(line.done))
      this.#lines.delete(id)
      this.#frontier.forget(id)
      this.#marks.delete(id)
      const at = this.#deliveries.findIndex((delivery) => delivery.shard === id)
      if (at >= 0) this.#deliveries.splice(at, 1)[0]?.taken()
    }
    for (const { id, incarnation } of shards) this.#follow(id, incarnation)
  }

  /** `present` is the incarnation of the map's; the one that is followed already, or that the token is of, goes before. */
  #follow(shard: number, present?: number): void {
    if (this.#lines.has(shard)) return
    const end = new AbortController()
    const incarnation = this.#frontier.incarnation(shard, present)
    const done = followShard({
      ...this.#options,
      shard,
      incarnation,
      watched: this.#request.watched,
      position: () => this.#frontier.position(shard) ?? (this.#fresh && !this.#settled ? undefined : BEGINNING),
      deliver: (message) => this.#deliver(shard, message, end.signal),
      signal: end.signal,
    }).catch((error: unknown) => {
      this.#failure ??= toKvError(error, 'not-applied')
      this.#wake()
    })
    this.#lines.set(shard, { incarnation, end, done })
  }

  #deliver(shard: number, message: NodeMessage, signal: AbortSignal): Promise<void> {
    if (this.#over.signal.aborted || signal.aborted) return Promise.resolve()
    if (!this.#frontier.hasBegun(shard)) this.#frontier.begin(shard, message.next, message.partitions)
    else if (message.events.length === 0 && message.partitions.length === 0) this.#marks.set(shard, message)
    this.#wake()
    if (message.events.length === 0) return Promise.resolve()
    return new Promise((resolve) => {
      this.#deliveries.push({ shard, message, at: 0, taken: resolve })
    })
  }

  /** The next changes, or a mark; undefined when there is nothing to tell. */
  #next(): GatewayMessage | undefined {
    const events: { change: KeyChange; token: Uint8Array }[] = []
    let moved = this.#advance()
    for (let again = true; again && events.length < EVENTS_MAX; ) {
      again = false
      for (const delivery of [...this.#deliveries]) {
        const before = delivery.at
        this.#take(delivery, events)
        again ||= delivery.at > before
      }
      moved ||= again
    }
    // A mark of its own only says what is new: changes of partitions that nobody is told of.
    if (events.length === 0 && !moved) return undefined
    return { events, token: this.#frontier.token() }
  }

  #advance(): boolean {
    const moved = this.#marks.size > 0
    for (const [shard, { next }] of this.#marks) this.#frontier.advance(shard, next)
    this.#marks.clear()
    return moved
  }

  #take(delivery: Delivery, events: { change: KeyChange; token: Uint8Array }[]): void {
    const { shard, message } = delivery
    while (delivery.at < message.events.length && events.length < EVENTS_MAX) {
      const event = message.events[delivery.at] as NodeMessage['events'][number]
      const verdict = this.#frontier.take(shard, event)
      if (verdict === 'wait') return
      delivery.at++
      if (verdict === 'tell') events.push({ change: event.change as KeyChange, token: this.#frontier.token() })
    }
    if (delivery.at < message.events.length) return
    this.#frontier.advance(shard, message.next)
    this.#deliveries.splice(this.#deliveries.indexOf(delivery), 1)
    delivery.taken()
  }

  #news(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve
      const { signal } = this.#request
      if (signal.aborted || this.#failure !== undefined) resolve()
    })
  }
}

const BEGINNING = { index: 0n, skip: 0 }
