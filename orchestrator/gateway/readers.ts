import type { Clock, Timer } from '../core/clock.js'

/** How long a client may take no answer. The nodes have the same. */
const SILENT_MS_MAX = 10_000
/** How long it may while others find no room. A client of ours that is stopped for longer sends again what is open. */
const PATIENCE_MS = 1000
const LOOK_MS = 1000
/** Whoever finds no room asks for some; once in this time is enough. */
const SHED_MS = 50

/** A stream, as far as its client reads. */
export interface Reader {
  /** Ends it now, without a word: whoever does not read would not hear one. */
  cut(): void
  /** Frees what it can do without. */
  relent(): void
}

interface State {
  /** Answers that the transport has not taken. */
  unread: number
  /** Since when it has taken none of them. */
  since: number
}

/** Who reads the answers of this gateway, and who lets them lie. */
export class Readers {
  readonly #clock: Clock
  readonly #all = new Map<Reader, State>()
  #timer: Timer | undefined
  #shedAt = Number.NEGATIVE_INFINITY

  constructor(clock: Clock) {
    this.#clock = clock
  }

  join(reader: Reader): void {
    this.#all.set(reader, { unread: 0, since: 0 })
    this.#timer ??= this.#clock.setTimeout(() => this.#look(), LOOK_MS)
  }

  leave(reader: Reader): void {
    this.#all.delete(reader)
    if (this.#all.size > 0) return
    this.#timer?.cancel()
    this.#timer = undefined
  }

  /** An answer is on its way to the reader. */
  wrote(reader: Reader): void {
    const state = this.#all.get(reader)
    if (state !== undefined && state.unread++ === 0) state.since = this.#clock.monotonic()
  }

  /** The transport has taken an answer. */
  took(reader: Reader): void {
    const state = this.#all.get(reader)
    if (state === undefined) return
    state.unread--
    state.since = this.#clock.monotonic()
  }

  /** Somebody found no room: whoever has let answers lie for long makes some. */
  shed(): void {
    const now = this.#clock.monotonic()
    if (now - this.#shedAt < SHED_MS) return
    this.#shedAt = now
    for (const reader of this.#all.keys()) reader.relent()
    this.#cutSilent(PATIENCE_MS)
  }

  #look(): void {
    this.#timer = this.#clock.setTimeout(() => this.#look(), LOOK_MS)
    this.#cutSilent(SILENT_MS_MAX)
  }

  #cutSilent(ms: number): void {
    const now = this.#clock.monotonic()
    for (const [reader, { unread, since }] of this.#all) if (unread > 0 && now - since >= ms) reader.cut()
  }
}
