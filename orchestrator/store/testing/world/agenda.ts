interface Entry {
  readonly at: number
  readonly event: () => void
}

/** What happens in the world outside of the stores, by the clock of that world. */
export class Agenda {
  #now = 0
  /** By time; what falls together, in the order in which it was planned. */
  #entries: Entry[] = []

  get now(): number {
    return this.#now
  }

  get size(): number {
    return this.#entries.length
  }

  plan(ms: number, event: () => void): void {
    const entry = { at: this.#now + ms, event }
    const after = this.#entries.findLastIndex(({ at }) => at <= entry.at)
    this.#entries.splice(after + 1, 0, entry)
  }

  /** Also does what is planned meanwhile, if it falls into that time. */
  advance(ms: number): void {
    const end = this.#now + ms
    for (let next = this.#entries[0]; next !== undefined && next.at <= end; next = this.#entries[0]) {
      this.#entries.shift()
      this.#now = next.at
      next.event()
    }
    this.#now = end
  }
}
