import type { LaneRequest } from './lane-request.js'

/** A message that was handed to the stream and has no answer yet. */
export interface Flight {
  readonly id: bigint
  readonly read: boolean
  /** One per operation of the message; undefined once it was completed without the answer. */
  readonly requests: (LaneRequest | undefined)[]
  readonly bytes: number
}

interface Entry {
  readonly flight: Flight
  /** Requests that are still waited for. */
  open: number
  /** How many ticks of the lane it has seen. */
  ticks: number
}

/** The messages in flight on one connection. */
export class Flights {
  #entries: Entry[] = []
  #bytes = 0

  get count(): number {
    return this.#entries.length
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Whether anybody still waits for any of them. */
  get waitedFor(): boolean {
    return this.#entries.some((entry) => entry.open > 0)
  }

  has(read: boolean): boolean {
    return this.#entries.some((entry) => entry.flight.read === read)
  }

  /** Whether a message of a kind is waited for that has seen fewer than `ticks` ticks. */
  hasYoung(read: boolean, ticks: number): boolean {
    for (const entry of this.#entries) {
      if (entry.flight.read === read && entry.open > 0 && entry.ticks < ticks) return true
    }
    return false
  }

  add(flight: Flight): void {
    this.#entries.push({ flight, open: flight.requests.length, ticks: 0 })
    this.#bytes += flight.bytes
  }

  /** Takes the message that an answer names, if the answer has as many results as it had operations. */
  land(id: bigint, results: number): Flight | undefined {
    const at = this.#entries.findIndex(({ flight }) => flight.id === id && flight.requests.length === results)
    const [entry] = at === -1 ? [] : this.#entries.splice(at, 1)
    this.#bytes -= entry?.flight.bytes ?? 0
    return entry?.flight
  }

  tick(): void {
    for (const entry of this.#entries) entry.ticks++
  }

  /** Takes the requests that match out of their messages, which stay in flight. */
  takeRequests(matches: (request: LaneRequest) => boolean): LaneRequest[] {
    const taken: LaneRequest[] = []
    for (const entry of this.#entries) {
      const { requests } = entry.flight
      for (let at = 0; at < requests.length; at++) {
        const request = requests[at]
        if (request === undefined || !matches(request)) continue
        taken.push(request)
        requests[at] = undefined
        entry.open--
      }
    }
    return taken
  }

  /** Forgets all messages and gives their open requests: the connection is gone. */
  takeAll(): LaneRequest[] {
    const taken = this.takeRequests(() => true)
    this.#entries = []
    this.#bytes = 0
    return taken
  }
}
