import type { Clock } from '../core/clock.js'
import { leaseBytes, leaseText } from '../core/lease.js'
import type { Rng } from '../core/rng.js'
import { describe } from '../core/words.js'
import { grantLease, keepAlive, revokeLease } from '../store/lease/lease.js'
import type { PageSource } from '../store/scan/pages.js'
import { checkMs, checkOptions, checkSignal, type Names } from './arguments.js'
import { REQUEST_OPTIONS, type RequestOptions } from './front.js'
import { type HoldOptions, LeaseHold } from './lease-hold.js'

export interface GrantOptions extends RequestOptions {
  /** How long the lease lives when nobody keeps it alive, ms: 1,000 to 10 years. */
  readonly ttlMs: number
}

const OPTIONS = {
  grant: { ...REQUEST_OPTIONS, ttlMs: true } satisfies Names<GrantOptions>,
  hold: { signal: true } satisfies Names<HoldOptions>,
} as const

interface LeaseTools {
  readonly pages: PageSource
  readonly clock: Clock
  readonly rng: Rng
  /** Of a call that has none of its own. */
  readonly deadlineMs: number
}

/** The leases of a client. */
export class Leases {
  readonly #tools: LeaseTools
  readonly #holds = new Set<LeaseHold>()
  #closed = false

  constructor(tools: LeaseTools) {
    this.#tools = tools
  }

  /**
   * Makes a lease. Keys are put into it (`put(key, value, { lease })`), and are deleted when it is revoked, or when nobody has kept it
   * alive for so long. It ends by itself, unless `hold` or `keepAlive` keeps it.
   */
  async grant(options: GrantOptions): Promise<Lease> {
    checkOptions(options, OPTIONS.grant, 'lease.grant')
    const { ttlMs } = options ?? {}
    if (typeof ttlMs !== 'number') throw new TypeError(`a lease needs ttlMs, a number of ms, not ${describe(ttlMs)}`)
    const { pages, clock, rng } = this.#tools
    const id = Buffer.from(rng.id(), 'hex')
    const began = clock.monotonic()
    await grantLease(pages, id, ttlMs, this.#request(options))
    return this.#lease(id, began + ttlMs)
  }

  /** A lease that was granted before, perhaps by another process, by its id. Nothing is asked. */
  of(id: string): Lease {
    const bytes = typeof id === 'string' ? leaseBytes(id) : undefined
    if (bytes === undefined) throw new TypeError(`a lease's id is 32 hexadecimal digits, not ${describe(id)}`)
    return this.#lease(bytes, undefined)
  }

  /** Nobody is kept alive any more. */
  async close(): Promise<void> {
    this.#closed = true
    await Promise.all([...this.#holds].map((hold) => hold.stop()))
  }

  /** `granted`: on the monotonic clock, until when it lives by its grant; undefined: nobody knows. */
  #lease(id: Uint8Array, granted: number | undefined): Lease {
    const { pages, clock } = this.#tools
    // What has been kept alive since then, by whatever way, is not over when the grant is.
    let aliveUntil = granted
    return new Lease(id, {
      keepAlive: async (options) => {
        const began = clock.monotonic()
        const ttlMs = await keepAlive(pages, id, this.#request(options))
        aliveUntil = Math.max(aliveUntil ?? 0, began + ttlMs)
        return ttlMs
      },
      revoke: (options) => revokeLease(pages, id, this.#request(options)),
      hold: (lease, options) => this.#hold(lease, aliveUntil, options),
    })
  }

  #hold(lease: Lease, aliveUntil: number | undefined, { signal }: HoldOptions): LeaseHold {
    const { clock, deadlineMs } = this.#tools
    const hold = new LeaseHold(lease, {
      clock,
      aliveUntil: aliveUntil ?? clock.monotonic() + deadlineMs,
      signal,
      ended: () => this.#holds.delete(hold),
    })
    this.#holds.add(hold)
    if (this.#closed) void hold.stop()
    hold.begin()
    return hold
  }

  #request(options: RequestOptions = {}): { deadlineMs: number; signal: AbortSignal | undefined } {
    const { deadlineMs = this.#tools.deadlineMs, signal } = options
    checkMs(deadlineMs, 'deadlineMs')
    checkSignal(signal)
    return { deadlineMs, signal }
  }
}

interface Ways {
  keepAlive(options?: RequestOptions): Promise<number>
  revoke(options?: RequestOptions): Promise<boolean>
  hold(lease: Lease, options: HoldOptions): LeaseHold
}

/** Owns keys, in whatever shards they are. */
export class Lease {
  /** For other processes: `kv.lease.of(id)`. */
  readonly id: string
  readonly #ways: Ways

  constructor(id: Uint8Array, ways: Ways) {
    this.id = leaseText(id)
    this.#ways = ways
  }

  /**
   * Has it live on, once. Gives for how long, ms, counted from the call. LEASE_NOT_FOUND: it is lost, though some of its keys may live
   * for that time yet. Any other failure leaves it as it was, or has it live longer.
   */
  keepAlive(options?: RequestOptions): Promise<number> {
    checkOptions(options, REQUEST_OPTIONS, 'keepAlive')
    return this.#ways.keepAlive(options)
  }

  /** Keeps it alive until it is stopped, aborted or lost, or the client is closed; stop it. */
  hold(options: HoldOptions = {}): LeaseHold {
    checkOptions(options, OPTIONS.hold, 'hold')
    checkSignal(options.signal)
    return this.#ways.hold(this, options)
  }

  /** Ends it, and deletes its keys before it resolves. Answers whether there was anything of it. */
  revoke(options?: RequestOptions): Promise<boolean> {
    checkOptions(options, REQUEST_OPTIONS, 'revoke')
    return this.#ways.revoke(options)
  }
}

/** The bytes of a lease that a put names; undefined: none. */
export function leaseOf(given: Lease | string | undefined): Uint8Array | undefined {
  if (given === undefined) return undefined
  const id = given instanceof Lease ? given.id : given
  const bytes = typeof id === 'string' ? leaseBytes(id) : undefined
  if (bytes !== undefined) return bytes
  throw new TypeError(`lease must be a Lease or its id, 32 hexadecimal digits, not ${describe(given)}`)
}
