import type { Clock, Timer } from '../../core/clock.js'
import { CompactedError } from '../../errors/index.js'
import type { Position } from '../../wire/watch.js'

/** How long an activation waits before it is looked whether the release before it can still come. */
const OVERDUE_MS = 10_000

/** A shard's event that waits. */
interface Blocked {
  readonly shard: number
  readonly at: number
}

interface OverdueOptions {
  readonly clock: Clock
  /** Where the logs of all shards of now end. */
  readonly ends: () => Promise<ReadonlyMap<number, Position>>
  /** Has `check` called again. */
  readonly wake: () => void
}

/**
 * An activation waits for the release in its epoch, which came before it. The shard that gave it may have come and gone since the token was
 * made: then nobody tells of it, and the wait would have no end. That is proven when every shard that does not wait itself has been read to
 * where its log ended after the wait had begun. (One that waits itself waits at something earlier, for something earlier still.)
 */
export class Overdue {
  readonly #options: OverdueOptions
  #first: Blocked | undefined
  #at: number | undefined
  #timer: Timer | undefined
  #ends: ReadonlyMap<number, Position> | undefined
  #looking: Promise<void> = Promise.resolve()

  constructor(options: OverdueOptions) {
    this.#options = options
  }

  /** To be called when nothing moves, with every shard that is followed. Throws COMPACTED when what is waited for cannot come. */
  check(
    blocked: readonly Blocked[],
    shards: Iterable<number>,
    position: (shard: number) => Position | undefined,
  ): void {
    const [first] = blocked
    if (first !== this.#first || first?.at !== this.#at) this.#waitFor(first)
    const ends = this.#ends
    if (first === undefined || ends === undefined) return
    const isRead = (shard: number) =>
      blocked.some((one) => one.shard === shard) || isBehind(position(shard), ends.get(shard))
    if (![...shards].every(isRead)) return
    const message = `a shard has come and gone before shard ${first.shard} got its partitions back, and its changes were not seen`
    throw new CompactedError(message, { outcome: 'not-applied', shard: first.shard })
  }

  /** Resolves when nothing is left of it. What gives the ends must have been told. */
  async close(): Promise<void> {
    this.#waitFor(undefined)
    await this.#looking
  }

  #waitFor(first: Blocked | undefined): void {
    this.#timer?.cancel()
    this.#first = first
    this.#at = first?.at
    this.#ends = undefined
    if (first !== undefined) this.#lookLater(first)
  }

  #lookLater(first: Blocked): void {
    this.#timer = this.#options.clock.setTimeout(() => {
      this.#looking = this.#look(first)
    }, OVERDUE_MS)
  }

  async #look(first: Blocked): Promise<void> {
    const at = this.#at
    const ends = await this.#options.ends().catch(() => undefined)
    if (this.#first !== first || this.#at !== at) return
    this.#ends = ends ?? this.#ends
    // It may not have been known, and a shard may be followed from now on that had no end then.
    this.#lookLater(first)
    this.#options.wake()
  }
}

function isBehind(position: Position | undefined, end: Position | undefined): boolean {
  if (position === undefined || end === undefined) return false
  return position.index > end.index || (position.index === end.index && position.skip >= end.skip)
}
