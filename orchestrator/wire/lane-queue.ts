import type { LaneRequest } from './lane-request.js'

/** What waits to be sent on a lane, in its order. Who puts something in has checked that there is room (budgets). */
export class LaneQueue {
  #waiting: LaneRequest[] = []
  /** No request here has an earlier deadline: until then nobody need be looked for. */
  #earliest = Number.POSITIVE_INFINITY

  get length(): number {
    return this.#waiting.length
  }

  push(request: LaneRequest): void {
    this.#waiting.push(request)
    if (request.deadline < this.#earliest) this.#earliest = request.deadline
  }

  /** Takes the next message's worth: at least one request if any is still wanted, however large it is. */
  take(operationsMax: number, bytesMax: number): LaneRequest[] {
    const taken: LaneRequest[] = []
    let bytes = 0
    let at = 0
    for (; at < this.#waiting.length && taken.length < operationsMax; at++) {
      const request = this.#waiting[at]
      if (request === undefined || request.settled) continue
      if (taken.length > 0 && bytes + request.bytes > bytesMax) break
      taken.push(request)
      bytes += request.bytes
    }
    if (at === this.#waiting.length) this.#waiting = []
    else this.#waiting.splice(0, at)
    return taken
  }

  /** Takes those whose deadline has passed. What is settled before that goes when it is its turn. */
  takeExpired(now: number): readonly LaneRequest[] {
    if (now < this.#earliest) return []
    const taken = this.#waiting.filter(({ deadline }) => deadline <= now)
    this.#waiting = this.#waiting.filter(({ deadline }) => deadline > now)
    this.#earliest = this.#waiting.reduce((least, { deadline }) => Math.min(least, deadline), Number.POSITIVE_INFINITY)
    return taken
  }

  takeAll(): readonly LaneRequest[] {
    const all = this.#waiting
    this.#waiting = []
    return all
  }
}
