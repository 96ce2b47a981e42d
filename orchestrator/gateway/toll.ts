import type { Clock } from '../core/clock.js'

/** What it takes to receive, refuse and answer a message here, measured roughly, ms. */
const MESSAGE_MS = 0.15
const OPERATION_MS = 0.001
/** For each moment of refusing, so many of other work. */
const REST = 9
/** The most that a stream pays for those before it, and so the longest that one is not read. */
const DEBT_MS_MAX = 1000

/**
 * Keeps a gateway that is overloaded at its work. To refuse is cheap but not free, and whoever sends without waiting for
 * answers can send more to refuse than there is time for. So a stream whose message was refused is not read for a while:
 * until refusing, over all streams, has had no more than its share of the time, but no longer than its own part of that
 * takes. What is not read stays with its sender.
 */
export class Toll {
  #paidAt = 0
  /** Streams that are not read now. */
  #resting = 0

  constructor(private readonly clock: Clock) {}

  /** How long the stream of a refused message is not to be read, ms. `rested` is called when that is over. */
  charge(operations: number): number {
    const now = this.clock.monotonic()
    const cost = MESSAGE_MS + operations * OPERATION_MS
    const toll = cost * (1 + REST)
    this.#paidAt = Math.min(now + DEBT_MS_MAX, Math.max(now, this.#paidAt) + toll)
    this.#resting++
    return Math.min(this.#paidAt - now, toll * this.#resting)
  }

  rested(): void {
    this.#resting--
  }
}
