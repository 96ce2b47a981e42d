// Few keys that everybody wants. One that has become hard to check is left for a new one: the search for an order grows
// with the calls of a key, and doubles with each of which nobody knows whether it happened.

/** `bank`: the name is the hash tag of a group of accounts. */
export type Use = 'register' | 'append' | 'number' | 'mortal' | 'bank'

const CALLS_MAX = 250
const APPENDS_MAX = 150
/** Writes in flight count: a failure may leave all of them in doubt at once. */
const DOUBTS_MAX = 3

export class HotKey {
  /** The newest version that somebody was told, for conditional writes. */
  version: number | undefined
  /** The value that somebody was told last; null: absent. */
  value: string | null = null
  /** Of the accounts, as somebody was told last. */
  balances: readonly (number | null)[] = []
  #calls = 0
  #writing = 0
  #doubts = 0

  constructor(
    readonly name: string,
    readonly use: Use,
  ) {}

  get spent(): boolean {
    return this.#calls >= (this.use === 'append' ? 2 * APPENDS_MAX : CALLS_MAX) || this.#doubts >= DOUBTS_MAX
  }

  get takesWrites(): boolean {
    return this.#writing + this.#doubts < DOUBTS_MAX
  }

  began(write: boolean): void {
    this.#calls++
    if (write) this.#writing++
  }

  ended(write: boolean, inDoubt: boolean): void {
    if (write) this.#writing--
    if (write && inDoubt) this.#doubts++
  }
}

/** A place that always has a key. */
export class Slot {
  readonly shard: number
  readonly use: Use
  readonly #next: () => string
  readonly #keys: HotKey[] = []

  constructor(shard: number, use: Use, next: () => string) {
    this.shard = shard
    this.use = use
    this.#next = next
  }

  /** Every key that it has had. */
  get keys(): readonly HotKey[] {
    return this.#keys
  }

  get key(): HotKey {
    const last = this.#keys.at(-1)
    if (last !== undefined && !last.spent) return last
    const fresh = new HotKey(this.#next(), this.use)
    this.#keys.push(fresh)
    return fresh
  }
}
