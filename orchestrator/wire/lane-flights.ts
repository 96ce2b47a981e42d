import type { LaneRequest } from './lane-request.js'

/** What travels together. */
export type FlightKind = 'write' | 'read' | 'stale' | 'page'

/** A message that was handed to the stream and has not been answered in full. */
export interface Flight {
  readonly id: bigint
  readonly kind: FlightKind
  /** One per operation of the message; undefined once it was completed, with its answer or without. */
  readonly requests: (LaneRequest | undefined)[]
  readonly bytes: number
}

/** What an answer belongs to. */
export interface Landed {
  readonly kind: FlightKind
  /** One per result of the answer; undefined where nobody waits for it any more. */
  readonly requests: readonly (LaneRequest | undefined)[]
  /** How many operations the whole message has. */
  readonly operations: number
}

interface Entry {
  readonly flight: Flight
  /** Requests that are still waited for. */
  open: number
  /** Operations without an answer, waited for or not. */
  unanswered: number
  /** Which positions were answered; made by the first partial answer. */
  answered: Uint8Array | undefined
  /** What the requests without an answer weigh. */
  bytes: number
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

  /** Messages of which nothing was answered. */
  get silent(): number {
    let silent = 0
    for (const entry of this.#entries) if (entry.answered === undefined) silent++
    return silent
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Whether anybody still waits for any of them. */
  get waitedFor(): boolean {
    return this.#entries.some((entry) => entry.open > 0)
  }

  /** Whether any of them asks for values. */
  get reads(): boolean {
    return this.#entries.some((entry) => entry.flight.kind !== 'write')
  }

  /** How many messages of a kind are waited for that have seen fewer than `ticks` ticks. */
  countYoung(kind: FlightKind, ticks: number): number {
    let young = 0
    for (const entry of this.#entries) if (entry.flight.kind === kind && entry.open > 0 && entry.ticks < ticks) young++
    return young
  }

  add(flight: Flight): void {
    const { length } = flight.requests
    const { bytes } = flight
    this.#entries.push({ flight, open: length, unanswered: length, answered: undefined, bytes, ticks: 0 })
    this.#bytes += flight.bytes
  }

  /**
   * Takes what an answer answers: a whole message when it names no positions, or else those. Undefined, and then takes
   * nothing, when the answer fits no message: of another size, or to what was answered before.
   */
  land(id: bigint, results: number, positions: readonly number[]): Landed | undefined {
    // From the end: those that stay for long are the old ones.
    const at = this.#entries.findLastIndex(({ flight }) => flight.id === id)
    const entry = this.#entries[at]
    if (entry === undefined) return undefined
    const requests = positions.length === 0 ? takeWhole(entry, results) : this.#takePart(entry, results, positions)
    if (requests === undefined) return undefined
    if (entry.unanswered === 0) {
      this.#entries.splice(at, 1)
      this.#bytes -= entry.bytes
    }
    return { kind: entry.flight.kind, requests, operations: entry.flight.requests.length }
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

  #takePart(entry: Entry, results: number, positions: readonly number[]): Landed['requests'] | undefined {
    if (positions.length !== results || !mark(entry, positions)) return undefined
    const { requests } = entry.flight
    const taken = positions.map((position) => requests[position])
    for (const position of positions) requests[position] = undefined
    for (const request of taken) {
      if (request === undefined) continue
      entry.open--
      entry.bytes -= request.bytes
      this.#bytes -= request.bytes
    }
    entry.unanswered -= positions.length
    return taken
  }
}

function takeWhole(entry: Entry, results: number): Landed['requests'] | undefined {
  if (entry.answered !== undefined || entry.flight.requests.length !== results) return undefined
  entry.unanswered = 0
  return entry.flight.requests
}

/** Notes that the positions were answered, each for the first time; or says that they cannot be. */
function mark(entry: Entry, positions: readonly number[]): boolean {
  const { length } = entry.flight.requests
  entry.answered ??= new Uint8Array(length)
  for (const position of positions) {
    if (position >= length || entry.answered[position] === 1) return false
    entry.answered[position] = 1
  }
  return true
}
