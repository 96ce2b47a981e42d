// What requests hold, in bytes: bodies that came in, and values that are on their way out. Many clients that send slowly
// or do not read must not become an out-of-memory kill for everybody.
import { OverloadedError } from '../errors/index.js'

const RETRY_AFTER_MS = 100

/** Of all requests together. */
export class Held {
  #bytes = 0

  constructor(private readonly bytesMax: number) {}

  get bytes(): number {
    return this.#bytes
  }

  take(bytes: number): boolean {
    // What is over the bound by itself is let in when nothing else is held: what one request may be is limited elsewhere.
    if (this.#bytes > 0 && this.#bytes + bytes > this.bytesMax) return false
    this.#bytes += bytes
    return true
  }

  give(bytes: number): void {
    this.#bytes -= bytes
  }
}

/** Of one request. `release` comes once, when its answer was taken or its connection is gone. */
export class Hold {
  #bytes = 0
  #released = false

  constructor(private readonly all: Held) {}

  /** Whether there was room. A request that is over takes nothing more. */
  tryTake(bytes: number): boolean {
    if (this.#released || !this.all.take(bytes)) return false
    this.#bytes += bytes
    return true
  }

  /** Throws OVERLOADED when there is no room. */
  take(bytes: number): void {
    if (this.tryTake(bytes)) return
    const message = 'the gateway holds as many bytes for HTTP requests as it may'
    throw new OverloadedError(message, { outcome: 'not-applied', retryAfterMs: RETRY_AFTER_MS })
  }

  release(): void {
    this.#released = true
    this.all.give(this.#bytes)
    this.#bytes = 0
  }
}
