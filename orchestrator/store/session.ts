import { SESSION_WINDOW, type SessionRef } from '../core/operation.js'

/** A session that a shard has opened for this Store. Numbers its writes, and knows which of them are answered. */
export class Session implements SessionRef {
  #floor = 1
  #next = 1
  /** Numbers above the floor that are answered. */
  readonly #answered = new Set<number>()

  constructor(
    readonly id: Uint8Array,
    readonly shard: number,
    /** It had no number left, and has some now. */
    private readonly freed: (session: Session) => void = () => {},
  ) {}

  get floor(): number {
    return this.#floor
  }

  /** Whether the shard takes another number before the floor has risen. */
  get hasRoom(): boolean {
    return this.#next - this.#floor < SESSION_WINDOW
  }

  take(): number {
    return this.#next++
  }

  /** Nobody waits for the answer to this number any more, and it is not sent again. */
  answered(sequence: number): void {
    const hadRoom = this.hasRoom
    this.#answered.add(sequence)
    while (this.#answered.delete(this.#floor)) this.#floor++
    if (!hadRoom && this.hasRoom) this.freed(this)
  }
}
