import type { Clock, Timer } from '../core/clock.js'
import type { Budget } from './budget.js'

/** Smaller values than expected count so much each; larger ones count at once. */
const WEIGHT = 0.25
/** A get without an answer for this long holds no room: its shard may have no leader, and that may last. */
const FORGET_MS = 250

/** Room that was set aside for the value of a get that is asked. */
export interface Ticket {
  readonly epoch: number
  readonly bytes: number
}

/** Gets that found no room. */
export interface Waiting {
  /** Asks as many as there is room for. Says whether all are asked. */
  resume(): boolean
}

export interface ReadGateOptions {
  readonly clock: Clock
  /** The stream's own, with the gateway's behind it. */
  readonly values: Budget
  /** What a value weighs before any was seen. */
  readonly firstGuess: number
  /** The gates of the gateway at which somebody waits. */
  readonly crowd: Set<ReadGate>
  /** Somebody waits now, or nobody any more. */
  readonly changed: () => void
}

/**
 * Lets the gets of one stream go to the Store only as long as there is room for what they will bring, beside what the
 * client has not read; the others wait. How much they will bring is not known: it follows the sizes seen. Without this
 * a client could have the nodes' answers fill network and processor, only to have most of them dropped here.
 */
export class ReadGate {
  readonly #options: ReadGateOptions
  #expected: number
  /** What was set aside in an earlier one is not held any more. */
  #epoch = 0
  #aside = 0
  #since = 0
  #waiting: Waiting[] = []
  #pumping = false
  #timer: Timer | undefined

  constructor(options: ReadGateOptions) {
    this.#options = options
    this.#expected = options.firstGuess
  }

  get crowded(): boolean {
    return this.#waiting.length > 0
  }

  /** Sets room aside for one get. Undefined: there is none, `wait`. */
  enter(): Ticket | undefined {
    const bytes = Math.ceil(this.#expected)
    if (!this.#options.values.take(bytes)) return undefined
    if (this.#aside === 0) this.#since = this.#options.clock.monotonic()
    this.#aside += bytes
    return { epoch: this.#epoch, bytes }
  }

  /** The get has its answer. `bytes`: of its value, undefined if that says nothing of other values. */
  leave({ epoch, bytes: aside }: Ticket, bytes: number | undefined): void {
    if (epoch === this.#epoch) {
      this.#aside -= aside
      this.#options.values.give(aside)
    }
    if (bytes === undefined) return
    this.#expected = Math.max(bytes, this.#expected * (1 - WEIGHT) + bytes * WEIGHT)
  }

  /** Holds a value, until it is given back. */
  take(bytes: number): boolean {
    return this.#options.values.take(bytes)
  }

  give(bytes: number): void {
    if (bytes > 0) this.#options.values.give(bytes)
  }

  wait(waiting: Waiting): void {
    this.#waiting.push(waiting)
    this.#options.crowd.add(this)
    this.#timer ??= this.#options.clock.setTimeout(() => this.#tick(), FORGET_MS)
    if (this.#waiting.length === 1) this.#options.changed()
  }

  /** Lets go on who waits here or at another gate, if there is room by now. */
  pump(): void {
    const { crowd } = this.#options
    if (crowd.size === 0) return
    this.#pump()
    for (const gate of [...crowd]) {
      if (gate === this) continue
      if (!gate.#pump()) {
        // The next time others are asked first.
        crowd.delete(gate)
        crowd.add(gate)
        return
      }
    }
  }

  /** Frees what was set aside for gets that have had no answer for long. */
  forget(): void {
    const { clock, values } = this.#options
    if (this.#aside === 0 || clock.monotonic() - this.#since < FORGET_MS) return
    this.#epoch++
    values.give(this.#aside)
    this.#aside = 0
  }

  close(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#waiting = []
    this.#options.values.close()
    this.#options.crowd.delete(this)
    this.pump()
  }

  /** Says whether nobody waits here any more. */
  #pump(): boolean {
    if (this.#waiting.length === 0 || this.#pumping) return false
    this.#pumping = true
    while (this.#waiting[0]?.resume() === true) this.#waiting.shift()
    this.#pumping = false
    if (this.#waiting.length > 0) return false
    this.#options.crowd.delete(this)
    this.#options.changed()
    return true
  }

  #tick(): void {
    this.#timer = undefined
    this.forget()
    this.pump()
    if (this.#waiting.length > 0) this.#timer ??= this.#options.clock.setTimeout(() => this.#tick(), FORGET_MS)
  }
}
