import type { LaneRequest } from './lane-request.js'

/** What waits to be sent on a lane, in its order. Who puts something in has checked that there is room (budgets). */
export class LaneQueue {
  #waiting: LaneRequest[] = []

  get length(): number {
    return this.#waiting.length
  }

  push(request: LaneRequest): void {
    this.#waiting.push(request)
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

  takeMatching(matches: (request: LaneRequest) => boolean): readonly LaneRequest[] {
    const taken = this.#waiting.filter(matches)
    if (taken.length > 0) this.#waiting = this.#waiting.filter((request) => !matches(request))
    return taken
  }

  takeAll(): readonly LaneRequest[] {
    const all = this.#waiting
    this.#waiting = []
    return all
  }
}
