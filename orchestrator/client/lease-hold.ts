import { type Clock, sleep } from '../core/clock.js'
import { CancelledError, KvError, LeaseNotFoundError } from '../errors/index.js'
import type { Lease } from './lease.js'

export interface HoldOptions {
  /** Aborting it stops the hold. */
  readonly signal?: AbortSignal | undefined
}

interface HoldParts {
  readonly clock: Clock
  /** On the monotonic clock: until then the lease lives without this. */
  readonly aliveUntil: number
  readonly signal: AbortSignal | undefined
  ended(): void
}

/** So often within its time is a lease kept alive: two may fail. */
const TIMES = 3
/** Between two tries, one of which has failed, ms; less where little time is left. */
const RETRY_MS = 250
const SHORT_MS = 10

/**
 * Keeps a lease alive. It knows by its own clock until when all keys of the lease are safe: the lease's time after the beginning of the
 * last keep-alive that has reached every shard. Past that the lease is lost to its holder, whatever the shards still know of it.
 */
export class LeaseHold {
  /**
   * Aborted when nobody keeps the lease alive for this hold any more. Its reason says why: LEASE_NOT_FOUND if it is lost, CANCELLED if
   * the hold was stopped. It comes no later than the first key of the lease may be gone, unless somebody else revokes it.
   */
  readonly signal: AbortSignal
  readonly #lease: Lease
  readonly #parts: HoldParts
  readonly #over = new AbortController()
  readonly #stop = () => this.#end(stopped())
  #aliveUntil: number
  /** Why the latest try came to nothing. */
  #last: unknown
  #done: Promise<void> = Promise.resolve()

  constructor(lease: Lease, parts: HoldParts) {
    this.#lease = lease
    this.#parts = parts
    this.#aliveUntil = parts.aliveUntil
    this.signal = this.#over.signal
  }

  /** Once. */
  begin(): void {
    const { signal } = this.#parts
    signal?.addEventListener('abort', this.#stop, { once: true })
    if (signal?.aborted) this.#stop()
    this.#done = this.#run()
  }

  /** Keeps it alive no longer; it ends by itself, or by `revoke`. Resolves when nothing is under way. */
  async stop(): Promise<void> {
    this.#stop()
    await this.#done
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  async #run(): Promise<void> {
    const deadline = this.#watchDeadline()
    try {
      while (!this.signal.aborted) await sleep(this.#parts.clock, await this.#keep(), this.signal).catch(() => {})
    } finally {
      deadline.cancel()
      this.#parts.signal?.removeEventListener('abort', this.#stop)
      this.#parts.ended()
    }
  }

  /** Gives how long to rest. */
  async #keep(): Promise<number> {
    const { clock } = this.#parts
    const began = clock.monotonic()
    try {
      const deadlineMs = Math.max(1, this.#aliveUntil - began)
      const ttlMs = await this.#lease.keepAlive({ deadlineMs, signal: this.signal })
      this.#aliveUntil = Math.max(this.#aliveUntil, began + ttlMs)
      return Math.max(0, began + ttlMs / TIMES - clock.monotonic())
    } catch (error) {
      if (error instanceof KvError && error.code === 'LEASE_NOT_FOUND') this.#end(error)
      this.#last = error
      return Math.min(RETRY_MS, Math.max(SHORT_MS, (this.#aliveUntil - clock.monotonic()) / 10))
    }
  }

  /** Says that it is lost at the moment when that can be, also while somebody is asked. */
  #watchDeadline(): { cancel(): void } {
    const { clock } = this.#parts
    let timer = clock.setTimeout(() => {}, 0)
    const look = () => {
      if (this.signal.aborted) return
      const leftMs = this.#aliveUntil - clock.monotonic()
      if (leftMs <= 0) this.#end(outOfTime(this.#last))
      else timer = clock.setTimeout(look, leftMs)
    }
    timer.cancel()
    look()
    return { cancel: () => timer.cancel() }
  }

  #end(reason: KvError): void {
    if (!this.signal.aborted) this.#over.abort(reason)
  }
}

function stopped(): KvError {
  return new CancelledError('the lease is not kept alive any more: its hold was stopped', { outcome: 'not-applied' })
}

function outOfTime(cause: unknown): KvError {
  const message = 'the lease is lost: no keep-alive has reached all shards for as long as it lives'
  return new LeaseNotFoundError(message, { outcome: 'not-applied', cause })
}
