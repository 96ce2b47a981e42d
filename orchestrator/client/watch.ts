import { type Clock, sleep } from '../core/clock.js'
import type { MapSource } from '../core/map-source.js'
import { opaqueFromText, opaqueToText } from '../core/opaque.js'
import type { Rng } from '../core/rng.js'
import { CancelledError, type Code, invalidArgument, toKvError } from '../errors/index.js'
import { watchCluster } from '../store/watch/cluster-watch.js'
import { type GatewayMessage, type Watched, WatchLinks, watchGateway } from '../wire/watch.js'
import { checkText, type Names } from './arguments.js'
import { type Bytes, toBytes } from './values.js'

/** What is watched: one key, or all that begin so. An empty prefix: all. */
export type WatchTarget =
  | { readonly key: Bytes; readonly prefix?: undefined }
  | { readonly prefix: Bytes; readonly key?: undefined }

export interface WatchOptions {
  /** The token of an event (or a mark, or a COMPACTED error) of a watch of the same keys: goes on after it. Absent: from now on. */
  readonly from?: string
  /** Also gives marks of progress: the first one says that the watch has begun. Default false. */
  readonly progress?: boolean
  /** Aborting it ends the watch with CANCELLED. */
  readonly signal?: AbortSignal
}

export const WATCH_OPTIONS: Names<WatchOptions> = { from: true, progress: true, signal: true }

/** A change. `token` is where a watch goes on that has seen everything up to here. */
export type WatchEvent =
  | {
      readonly type: 'put'
      readonly key: Uint8Array
      readonly value: Uint8Array
      readonly version: bigint
      readonly token: string
    }
  /** The version is that of the value that was deleted. */
  | { readonly type: 'delete'; readonly key: Uint8Array; readonly version: bigint; readonly token: string }

/** Nothing that was to be told has happened up to here. */
export interface WatchProgress {
  readonly type: 'progress'
  readonly token: string
}

/** How often an idle watch's token moves on while other keys change. */
const PROGRESS_MS = 1000
/** How long `auto` tries the nodes before it watches through a gateway. */
const DIRECT_MS = 2000
const RETRY_MS = 100

/** What trying again does not mend. */
const FINAL: ReadonlySet<Code> = new Set(['COMPACTED', 'INVALID_ARGUMENT', 'TOO_LARGE', 'UNSUPPORTED'])

export interface WatchesOptions {
  readonly mode: 'auto' | 'direct' | 'gateway'
  readonly endpoints: readonly string[]
  readonly maps: MapSource
  readonly clock: Clock
  readonly rng: Rng
}

/** The watches of a client. */
export class Watches {
  readonly #options: WatchesOptions
  readonly #links: WatchLinks
  readonly #open = new Set<Watch<WatchEvent | WatchProgress>>()
  #closed = false

  constructor(options: WatchesOptions) {
    this.#options = options
    this.#links = new WatchLinks(options.clock, PROGRESS_MS)
  }

  watch(target: WatchTarget, options: WatchOptions): Watch<WatchEvent | WatchProgress> {
    checkText(options.from, 'from')
    const watched = watchedOf(target)
    const token = options.from === undefined ? undefined : opaqueFromText(options.from)
    if (token?.length === 0) throw invalidArgument('`from` is no token of a watch')
    const watch = new Watch<WatchEvent | WatchProgress>(
      (signal) => this.#messages(watched, token, signal),
      options,
      () => this.#open.delete(watch),
    )
    this.#open.add(watch)
    if (this.#closed) void watch.end()
    return watch
  }

  /** Ends all of them, and resolves when nothing is left. */
  async close(): Promise<void> {
    this.#closed = true
    await Promise.all([...this.#open].map((watch) => watch.end()))
  }

  async *#messages(
    watched: Watched,
    from: Uint8Array | undefined,
    signal: AbortSignal,
  ): AsyncGenerator<GatewayMessage> {
    const { mode, maps, clock, rng } = this.#options
    if (mode === 'gateway') return yield* this.#throughGateways(watched, from, signal)
    const over = new AbortController()
    const end = () => over.abort()
    signal.addEventListener('abort', end, { once: true })
    if (signal.aborted) end()
    let begun = false
    const patience = mode === 'auto' ? clock.setTimeout(end, DIRECT_MS) : undefined
    try {
      const request = { watched, token: from, signal: over.signal }
      for await (const message of watchCluster({ maps, links: this.#links, clock, rng }, request)) {
        begun = true
        patience?.cancel()
        yield message
      }
    } catch (error) {
      if (begun || signal.aborted || !over.signal.aborted) throw error
    } finally {
      patience?.cancel()
      over.abort()
      signal.removeEventListener('abort', end)
    }
    // The nodes cannot be reached from here, or none of them leads: a gateway waits for them as well.
    yield* this.#throughGateways(watched, from, signal)
  }

  async *#throughGateways(
    watched: Watched,
    from: Uint8Array | undefined,
    signal: AbortSignal,
  ): AsyncGenerator<GatewayMessage> {
    const { endpoints, clock } = this.#options
    let token = from
    for (let turn = 0; !signal.aborted; turn++) {
      const address = endpoints[turn % endpoints.length] as string
      try {
        for await (const message of watchGateway(address, clock, watched, token, PROGRESS_MS, signal)) {
          token = message.token
          yield message
        }
      } catch (thrown) {
        if (FINAL.has(toKvError(thrown, 'not-applied').code)) throw thrown
      }
      await sleep(clock, RETRY_MS, signal).catch(() => {})
    }
    throw new CancelledError('the watch was ended by its caller', {
      outcome: 'not-applied',
      cause: signal.reason as unknown,
    })
  }
}

/**
 * A watch that is under way as soon as it is iterated. `break` ends it and frees what it holds; so do its signal and the client's
 * end, which throw CANCELLED.
 */
export class Watch<Event> implements AsyncIterableIterator<Event> {
  readonly #messages: AsyncGenerator<GatewayMessage>
  readonly #gone = new AbortController()
  readonly #progress: boolean
  readonly #ready: Event[] = []
  readonly #done: () => void
  readonly #deafen: () => void
  #token: string | undefined
  #next: Promise<unknown> = Promise.resolve()
  #over = false
  /** Why it is over, if the client ended it and nobody was told yet. */
  #ended: CancelledError | undefined

  constructor(open: (signal: AbortSignal) => AsyncGenerator<GatewayMessage>, options: WatchOptions, done: () => void) {
    const { signal, progress = false, from } = options
    this.#progress = progress
    this.#token = from
    this.#done = done
    const abort = () => this.#gone.abort(signal?.reason)
    signal?.addEventListener('abort', abort, { once: true })
    this.#deafen = () => signal?.removeEventListener('abort', abort)
    if (signal?.aborted === true) abort()
    this.#messages = open(this.#gone.signal)
  }

  /** Where a watch goes on that has seen all events that this one has given; it moves on while other keys change. */
  get token(): string | undefined {
    return this.#token
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<IteratorResult<Event, undefined>> {
    const next = this.#next.then(() => this.#take())
    this.#next = next.catch(() => {})
    return next
  }

  async return(): Promise<IteratorResult<Event, undefined>> {
    await this.#leave()
    return { done: true, value: undefined }
  }

  /** Ends it, and resolves when nothing is left. The `next` that waits, or else the one after what is there, rejects with CANCELLED. */
  async end(): Promise<void> {
    if (!this.#over) this.#ended = new CancelledError('the client was closed', { outcome: 'not-applied' })
    await this.#leave()
  }

  async #leave(): Promise<void> {
    this.#gone.abort()
    await this.#next
    this.#finish()
    await this.#messages.return(undefined)
  }

  async #take(): Promise<IteratorResult<Event, undefined>> {
    for (;;) {
      const event = this.#ready.shift()
      if (event !== undefined) {
        this.#token = (event as { readonly token: string }).token
        return { done: false, value: event }
      }
      if (this.#over) return this.#last()
      try {
        const { done, value } = await this.#messages.next()
        if (done === true) this.#finish()
        else this.#took(value)
      } catch (error) {
        this.#ended = undefined
        this.#finish()
        throw error
      }
    }
  }

  /** An end that was not the caller's own is told once: a loop would take it for the end of what there was. */
  #last(): IteratorResult<Event, undefined> {
    const ended = this.#ended
    this.#ended = undefined
    if (ended !== undefined) throw ended
    return { done: true, value: undefined }
  }

  #took({ events, token }: GatewayMessage): void {
    for (const { change, token: after } of events) this.#ready.push({ ...change, token: opaqueToText(after) } as Event)
    if (events.length > 0) return
    this.#token = opaqueToText(token)
    if (this.#progress) this.#ready.push({ type: 'progress', token: this.#token } as Event)
  }

  #finish(): void {
    this.#over = true
    this.#deafen()
    this.#done()
  }
}

function watchedOf(target: WatchTarget | null | undefined): Watched {
  const { key, prefix } = target ?? { key: undefined, prefix: undefined }
  if ((key === undefined) === (prefix === undefined))
    throw new TypeError('a watch is of a key or of a prefix, as in watch({ prefix: "user:" })')
  return key === undefined ? { prefix: toBytes(prefix as Bytes, 'prefix') } : { key: toBytes(key, 'key') }
}
