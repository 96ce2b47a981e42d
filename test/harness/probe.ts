// Time without service, as a client sees it that writes all the time: a put every few milliseconds whether or not the
// earlier ones have been answered, each to a key of its own. The gap is the longest time between two acknowledgements.
import type { TextClient } from './workload.js'

const EVERY_MS = 2
/** Past this many unanswered puts the probe skips turns: its memory stays bounded while nothing answers. */
const IN_FLIGHT_MAX = 5_000

export class Probe {
  readonly #client: TextClient
  readonly #nextKey: () => string
  readonly #timer: NodeJS.Timeout
  readonly #flights = new Set<Promise<void>>()
  readonly #acknowledged: string[] = []
  #lastAck = performance.now()
  #longestMs = 0
  failed = 0

  constructor(client: TextClient, nextKey: () => string) {
    this.#client = client
    this.#nextKey = nextKey
    this.#timer = setInterval(() => this.#turn(), EVERY_MS)
  }

  /** Forgets the gaps so far. */
  reset(): void {
    this.#longestMs = 0
    this.#lastAck = performance.now()
  }

  /** The longest gap since the last reset, an open one included. */
  get longestMs(): number {
    return Math.max(this.#longestMs, performance.now() - this.#lastAck)
  }

  get acknowledged(): number {
    return this.#acknowledged.length
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    await Promise.all(this.#flights)
  }

  /** The acknowledged puts that the store no longer has. */
  async lost(): Promise<string[]> {
    const found = await Promise.all(
      this.#acknowledged.map(async (key) => ((await this.#client.get(key)) === key ? [] : [key])),
    )
    return found.flat()
  }

  #turn(): void {
    if (this.#flights.size >= IN_FLIGHT_MAX) return
    const key = this.#nextKey()
    const flight = this.#client.put(key, key).then(
      () => this.#answered(key),
      () => {
        this.failed++
      },
    )
    this.#flights.add(flight)
    void flight.finally(() => this.#flights.delete(flight))
  }

  #answered(key: string): void {
    const now = performance.now()
    this.#longestMs = Math.max(this.#longestMs, now - this.#lastAck)
    this.#lastAck = now
    this.#acknowledged.push(key)
  }
}
