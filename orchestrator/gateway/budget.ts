// What the gateway holds for its clients, in bytes. A bounded queue is what keeps a slow store or a slow reader from
// becoming an out-of-memory kill for everybody.

export class Budget {
  readonly #max: number
  readonly #parent: Budget | undefined
  #held = 0
  #closed = false

  /** What a child takes counts against its parent as well. */
  constructor(bytesMax: number, parent?: Budget) {
    this.#max = bytesMax
    this.#parent = parent
  }

  get held(): number {
    return this.#held
  }

  /**
   * Takes the bytes, here and in the parent, or takes nothing and says no. What is over the whole budget by itself is
   * let in when nothing else is held: limits on a single operation are checked elsewhere.
   */
  take(bytes: number): boolean {
    if (this.#closed || (this.#held > 0 && this.#held + bytes > this.#max)) return false
    if (this.#parent !== undefined && !this.#parent.take(bytes)) return false
    this.#held += bytes
    return true
  }

  /** Gives back what was taken, once. After `close` there is nothing left to give, and this does nothing. */
  give(bytes: number): void {
    if (this.#closed) return
    this.#held -= bytes
    this.#parent?.give(bytes)
  }

  /** Gives back everything that is still held and takes no more. */
  close(): void {
    this.give(this.#held)
    this.#closed = true
  }
}
