import { type Clock, sleep } from '../core/clock.js'
import { opaqueToText } from '../core/opaque.js'
import { type KvError, OverloadedError, toKvError, UnsupportedError } from '../errors/index.js'
import type { GatewayMessage, Watched } from '../wire/watch.js'
import type { Streamed } from './answer.js'
import { changeEvent, compactedEvent, EVENT_STREAM, lastComment, OPENING, progressEvent } from './events.js'

/** Opens a watch of the whole cluster. It ends by throwing: CANCELLED when `signal` is aborted. */
export type WatchSource = (request: {
  readonly watched: Watched
  readonly token: Uint8Array | undefined
  readonly signal: AbortSignal
}) => AsyncGenerator<GatewayMessage>

/** What one request wants to see. */
export interface WatchQuestion {
  /** What the nodes tell of. */
  readonly watched: Watched
  /** Which of these keys the client is told of. */
  readonly wants: (key: Uint8Array) => boolean
  readonly token: Uint8Array | undefined
}

/** Each holds a connection, a message of every shard at most, and what its client has not read of one more. */
const STREAMS_MAX = 1024
/** A stream lives for as long as its client. */
const CROWDED_MS = 1000
/** What is wrong is found out before that, unless a shard has no leader; then the stream waits for it, rather than its client. */
const BEGIN_MS = 1000
/** How often a stream without changes says how far it is. */
const PROGRESS_MS = 1000
/** What is written at once, unless one change is larger. */
const CHUNK_LENGTH = 16 << 10

/** The watches of one server, as server-sent events. */
export class Watches {
  readonly #source: WatchSource | undefined
  readonly #clock: Clock
  #open = 0

  constructor(source: WatchSource | undefined, clock: Clock) {
    this.#source = source
    this.#clock = clock
  }

  /** Begins one. Throws what is wrong with it. */
  async stream(question: WatchQuestion, signal: AbortSignal): Promise<Streamed> {
    const rest = this.#chunks(question, signal)
    const { value: first } = await rest.next()
    const headers = { 'Content-Type': EVENT_STREAM }
    return { status: 200, headers, first: first ?? Buffer.alloc(0), rest }
  }

  /** Gives the first when the watch has begun, or takes its time. What is thrown later ends it with a comment. */
  async *#chunks({ watched, wants, token }: WatchQuestion, signal: AbortSignal): AsyncGenerator<Buffer, undefined> {
    const source = this.#enter()
    const over = new AbortController()
    const messages = source({ watched, token, signal: AbortSignal.any([signal, over.signal]) })
    let isOpen = false
    try {
      const beginning = messages.next()
      const begun = await within(beginning, this.#clock, BEGIN_MS)
      isOpen = true
      yield Buffer.from(OPENING)
      const words = new Words(wants, this.#clock)
      for (let next = begun ?? (await beginning); next.done !== true; next = await messages.next()) {
        for (const text of words.of(next.value)) yield Buffer.from(text)
      }
    } catch (thrown) {
      const end = endOf(toKvError(thrown, 'not-applied'), isOpen)
      if (end === undefined) throw thrown
      if (end !== '') yield Buffer.from(end)
    } finally {
      this.#open--
      over.abort()
      await messages.return(undefined)
    }
    return undefined
  }

  #enter(): WatchSource {
    if (this.#source === undefined) throw new UnsupportedError('no watches are served here', { outcome: 'not-applied' })
    if (this.#open >= STREAMS_MAX) {
      const message = 'the gateway has as many watches over HTTP as it may'
      throw new OverloadedError(message, { outcome: 'not-applied', retryAfterMs: CROWDED_MS })
    }
    this.#open++
    return this.#source
  }
}

/**
 * What a stream ends with; undefined: with the status of the failure, since it has not begun. What was missed is told by an event in any
 * case: an EventSource can read neither the status nor the body of an answer that is not 200, and would not learn the way on.
 */
function endOf({ code, message, token }: KvError, isOpen: boolean): string | undefined {
  if (code === 'COMPACTED' && token !== undefined) return `${isOpen ? '' : OPENING}${compactedEvent(token, message)}`
  if (!isOpen) return undefined
  return code === 'CANCELLED' ? '' : lastComment(`${code}: ${message}`)
}

/** The text of one stream's messages. */
class Words {
  readonly #wants: (key: Uint8Array) => boolean
  readonly #clock: Clock
  #marked: number | undefined

  constructor(wants: (key: Uint8Array) => boolean, clock: Clock) {
    this.#wants = wants
    this.#clock = clock
  }

  /** Its events, about so many at once as are written at once. */
  *of({ events, token }: GatewayMessage): Generator<string> {
    let text = ''
    let isTold = false
    for (const { change, token: after } of events) {
      if (!this.#wants(change.key)) continue
      isTold = true
      text += changeEvent(change, opaqueToText(after))
      if (text.length < CHUNK_LENGTH) continue
      yield text
      text = ''
    }
    if (!isTold && this.#isTimeForMark()) text = progressEvent(opaqueToText(token))
    if (text !== '') yield text
  }

  #isTimeForMark(): boolean {
    const now = this.#clock.monotonic()
    if (this.#marked !== undefined && now - this.#marked < PROGRESS_MS) return false
    this.#marked = now
    return true
  }
}

/** What it comes to, or undefined when that takes longer. Whoever awaits the work later gets its failure again. */
async function within<T>(work: Promise<T>, clock: Clock, ms: number): Promise<T | undefined> {
  const over = new AbortController()
  const patience = sleep(clock, ms, over.signal).then(
    () => undefined,
    () => undefined,
  )
  try {
    return await Promise.race([work, patience])
  } finally {
    over.abort()
  }
}
