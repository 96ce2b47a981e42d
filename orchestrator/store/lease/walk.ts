import type { LeaseOperation, LeaseResult } from '../../core/lease.js'
import { CancelledError, type KvError, kvError, toKvError } from '../../errors/index.js'
import { ALL_PARTITIONS, byOwner, isWrongShard, MapChanges, type PageSource, type Patience } from '../scan/pages.js'

/** Makes what one shard is asked. */
type PartsOf = (shard: number, partitions: Uint8Array) => LeaseOperation

/**
 * Asks for the parts of a lease in all partitions, shard by shard at once, and hands each answer to `take`. An answer is about all
 * of the partitions that were asked for or none, so when it ends every partition has been met by an entry in the log of its owner
 * since the call began, whatever moved meanwhile. Who cannot be reached keeps nobody else from being asked; only a lease that is
 * lost ends it at once. Each of `makes` is asked of everybody before the next one is, unless something went wrong.
 */
export async function walkParts(
  from: PageSource,
  makes: readonly PartsOf[],
  take: (result: LeaseResult) => 'done' | 'again',
  patience: Patience,
): Promise<void> {
  const walk = new Walk(from, take, patience)
  for (const make of makes) if (!walk.hasFailed) await walk.run(ALL_PARTITIONS, make)
  walk.end()
}

class Walk {
  readonly #changes: MapChanges
  readonly #over = new AbortController()
  readonly #patience: Patience
  readonly #giveUp: () => void
  /** Some shard has said yes, or may have. */
  #begun = false
  #failure: KvError | undefined

  constructor(
    private readonly from: PageSource,
    private readonly take: (result: LeaseResult) => 'done' | 'again',
    private readonly asked: Patience,
  ) {
    this.#changes = new MapChanges(from)
    this.#patience = { until: asked.until, signal: this.#over.signal }
    this.#giveUp = () => this.#over.abort(asked.signal.reason)
    if (asked.signal.aborted) this.#giveUp()
    asked.signal.addEventListener('abort', this.#giveUp, { once: true })
  }

  get hasFailed(): boolean {
    return this.#failure !== undefined
  }

  async run(partitions: Uint8Array, make: PartsOf): Promise<void> {
    const map = this.from.maps.current()
    const parts = [...byOwner(map, partitions)].map(async ([shard, owned]) => {
      try {
        await this.#ask(make(shard, owned))
      } catch (error) {
        if (!isWrongShard(error)) {
          this.#failed(error)
          return
        }
        try {
          await this.#changes.after(map, error, this.#patience)
        } catch (late) {
          this.#failed(late)
          return
        }
        if (this.#over.signal.aborted) this.#failed(cancelled(this.asked.signal.reason))
        else await this.run(owned, make)
      }
    })
    await Promise.all(parts)
  }

  /** Throws what went wrong, with an outcome that is honest about all shards. */
  end(): void {
    this.asked.signal.removeEventListener('abort', this.#giveUp)
    const error = this.#failure
    if (error === undefined) return
    if (!this.#begun || error.outcome !== 'not-applied') throw error
    throw kvError(error.code, error.message, { ...error, outcome: 'unknown', cause: error })
  }

  async #ask(operation: LeaseOperation): Promise<void> {
    for (;;) {
      const deadlineMs = Math.max(0, this.#patience.until - this.from.clock.monotonic())
      const options = { deadlineMs, signal: this.#over.signal }
      const result = (await this.from.execute(operation, options)) as LeaseResult
      this.#begun = true
      this.#changes.explained()
      if (this.take(result) === 'done') return
    }
  }

  /** The loss of the lease says more than whatever else goes wrong, and what was cancelled because of it says nothing. */
  #failed(thrown: unknown): void {
    const error = toKvError(thrown, 'unknown')
    if (error.outcome !== 'not-applied') this.#begun = true
    const lost = error.code === 'LEASE_NOT_FOUND'
    if (lost || this.#failure === undefined) this.#failure = error
    if (lost) this.#over.abort(error)
  }
}

function cancelled(cause: unknown): KvError {
  return new CancelledError('it was cancelled by the caller', { outcome: 'not-applied', cause })
}
