// The model that tells whether a store kept its word on one key. One writer owns the key and numbers its writes; any
// number of readers look. After a write whose outcome is unknown the writer leaves the key for good, so that at most
// one write per key is in doubt and it is the last: every rule below is then exact, with no room for guessing.

/** What a read saw: the number of the write it found, or `absent`. */
export type Seen = number | 'absent'

export interface ReadTicket {
  /** The least write that this read may return. */
  readonly floor: number
}

export class Register {
  readonly key: string
  /** The last acknowledged write; 0 is the key's life before its first write: absent. */
  #acknowledged = 0
  /** The last write that was begun. */
  #issued = 0
  /** The greatest write that a finished read returned: no later read may go behind it. */
  #read = 0
  /** The greatest write whose value was really seen (an absent key shows no number). */
  #seen = 0
  readonly #deletes = new Set<number>([0])
  readonly #refused = new Set<number>()
  #inDoubt = false

  constructor(key: string) {
    this.key = key
  }

  /** True after an unknown outcome: no more writes here. */
  get retired(): boolean {
    return this.#inDoubt
  }

  get acknowledgedWrites(): number {
    return this.#acknowledged
  }

  /** Begins the next write and gives its number. */
  begin(kind: 'put' | 'delete'): number {
    if (this.#inDoubt) throw new TypeError(`${this.key} is retired`)
    const number = ++this.#issued
    if (kind === 'delete') this.#deletes.add(number)
    return number
  }

  acknowledged(number: number): void {
    this.#acknowledged = number
  }

  /** The store said: it took no effect and never will. Nobody may see it from now on, or have seen it before. */
  refused(number: number): string | undefined {
    this.#refused.add(number)
    return this.#seen === number ? this.#say(`write ${number}, which was then reported as not applied`) : undefined
  }

  unknown(): void {
    this.#inDoubt = true
  }

  beginRead(): ReadTicket {
    return { floor: Math.max(this.#acknowledged, this.#read) }
  }

  /** Undefined when the read is allowed, else what is wrong with it. */
  endRead(ticket: ReadTicket, seen: Seen): string | undefined {
    const number = seen === 'absent' ? this.#leastDelete(ticket.floor) : seen
    if (number === undefined) return this.#say(`absent, though write ${ticket.floor} was acknowledged or read before`)
    if (this.#refused.has(number)) return this.#say(`write ${number}, which was reported as not applied`)
    if (number < ticket.floor) return this.#say(`write ${number} after write ${ticket.floor}: lost or stale`)
    if (number > this.#issued) return this.#say(`write ${number}, which was never made`)
    if (seen !== 'absent' && this.#deletes.has(number)) return this.#say(`a value for write ${number}, a delete`)
    // Of an absent key one knows only that at least this delete has happened.
    this.#read = Math.max(this.#read, number)
    if (seen !== 'absent') this.#seen = Math.max(this.#seen, number)
    return undefined
  }

  /** Which delete an absent key may stand for: the earliest that is not behind the floor. */
  #leastDelete(floor: number): number | undefined {
    for (let number = floor; number <= this.#issued; number++) {
      if (this.#deletes.has(number) && !this.#refused.has(number)) return number
    }
    return undefined
  }

  #say(what: string): string {
    return `${this.key} read ${what} (acknowledged ${this.#acknowledged}, issued ${this.#issued})`
  }
}
