import type { Clock, Timer } from '../core/clock.js'

/** What waits in a WakeQueue; the two fields are the queue's. */
export interface WakeEntry {
  wakeAt: number
  /** Where it is in the heap; -1 when it is not waiting. */
  wakeIndex: number
}

/** Entries that wait for their moments, any number of them on one timer: a binary heap that can give up any entry. */
export class WakeQueue<Entry extends WakeEntry> {
  readonly #heap: Entry[] = []
  #timer: Timer | undefined
  #timerAt = Number.POSITIVE_INFINITY

  constructor(
    private readonly clock: Clock,
    /** Called with each entry whose moment has come; it is out of the queue by then. */
    private readonly wake: (entry: Entry) => void,
  ) {}

  get size(): number {
    return this.#heap.length
  }

  /** `at` is on the monotonic clock, ms. The entry must not be waiting. */
  add(entry: Entry, at: number): void {
    entry.wakeAt = at
    this.#heap.push(entry)
    this.#up(this.#heap.length - 1, entry)
    if (at < this.#timerAt) this.#setTimer()
  }

  /** Takes an entry out before its moment. Says whether it was waiting. */
  remove(entry: Entry): boolean {
    const at = entry.wakeIndex
    if (at === -1) return false
    entry.wakeIndex = -1
    const last = this.#heap.pop()
    if (this.#heap.length === 0) this.#stopTimer()
    if (last === undefined || last === entry) return true
    this.#down(at, last)
    this.#up(last.wakeIndex, last)
    return true
  }

  /** Those for which `wanted` is true, in no order. They stay. */
  filter(wanted: (entry: Entry) => boolean): Entry[] {
    return this.#heap.filter(wanted)
  }

  /** Takes everything out, in no order, and stops the timer. */
  takeAll(): Entry[] {
    const all = this.#heap.splice(0)
    for (const entry of all) entry.wakeIndex = -1
    this.#stopTimer()
    return all
  }

  #stopTimer(): void {
    this.#timer?.cancel()
    this.#timerAt = Number.POSITIVE_INFINITY
  }

  #setTimer(): void {
    this.#timer?.cancel()
    const first = this.#heap[0]
    this.#timerAt = first?.wakeAt ?? Number.POSITIVE_INFINITY
    if (first === undefined) return
    this.#timer = this.clock.setTimeout(() => this.#fire(), Math.max(0, first.wakeAt - this.clock.monotonic()))
  }

  #fire(): void {
    // Timers may come a little early; what is due within a millisecond is due.
    const now = this.clock.monotonic() + 1
    const due: Entry[] = []
    for (let first = this.#heap[0]; first !== undefined && first.wakeAt <= now; first = this.#heap[0]) {
      this.remove(first)
      due.push(first)
    }
    this.#timerAt = Number.POSITIVE_INFINITY
    this.#setTimer()
    for (const entry of due) this.wake(entry)
  }

  #up(from: number, entry: Entry): void {
    let at = from
    while (at > 0) {
      const above = (at - 1) >> 1
      const parent = this.#heap[above]
      if (parent === undefined || parent.wakeAt <= entry.wakeAt) break
      this.#place(at, parent)
      at = above
    }
    this.#place(at, entry)
  }

  #down(from: number, entry: Entry): void {
    let at = from
    for (;;) {
      const left = this.#heap[2 * at + 1]
      const right = this.#heap[2 * at + 2]
      if (left === undefined) break
      const child = right !== undefined && right.wakeAt < left.wakeAt ? right : left
      if (child.wakeAt >= entry.wakeAt) break
      const below = child.wakeIndex
      this.#place(at, child)
      at = below
    }
    this.#place(at, entry)
  }

  #place(at: number, entry: Entry): void {
    this.#heap[at] = entry
    entry.wakeIndex = at
  }
}
