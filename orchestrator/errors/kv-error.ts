import { CODES, type Code, type Outcome } from './codes.js'

/** Who leads a shard, as far as the node that answered knows. To be taken only if its term is newer. */
export interface LeaderHint {
  readonly nodeId: string
  readonly address: string
  readonly term: bigint
}

export interface KvErrorDetails {
  /** What is known of the operation. A failed read is always `not-applied`. */
  readonly outcome: Outcome
  /** With OVERLOADED: when trying again is worth while. */
  readonly retryAfterMs?: number
  readonly shard?: number
  /** The id or address of the node concerned. */
  readonly node?: string
  /** With NOT_LEADER. */
  readonly leader?: LeaderHint
  /** With WRONG_SHARD and MOVING: the newest map epoch that the node knows. */
  readonly epoch?: bigint
  /** With PRECONDITION_FAILED, NOT_A_NUMBER and OVERFLOW: the key's version now, 0 if it is absent. */
  readonly version?: bigint
  /** Of a transaction that one of its operations failed: which one, from 1, those of `else` counted after those of `then`. */
  readonly operation?: number
  /** With COMPACTED: where a watch begins that misses nothing of what a scan does not show that begins now. */
  readonly token?: string
  readonly cause?: unknown
}

/**
 * A failed operation. `code` and `outcome` are stable and made for programs, the message is for people. A mistake of the
 * caller's program (a key that is no string, say) is not one of these: it is a TypeError.
 */
export class KvError extends Error {
  override name = 'KvError'
  // Declared only: what does not apply is not there, so that a printed error shows what is known and no more.
  declare readonly outcome: Outcome
  declare readonly retryAfterMs?: number
  declare readonly shard?: number
  declare readonly node?: string
  declare readonly leader?: LeaderHint
  declare readonly epoch?: bigint
  declare readonly version?: bigint
  declare readonly operation?: number
  declare readonly token?: string

  constructor(
    readonly code: Code,
    message: string,
    details: KvErrorDetails,
  ) {
    const { cause, ...known } = details
    super(message, cause === undefined ? undefined : { cause })
    Object.assign(this, Object.fromEntries(Object.entries(known).filter(([, value]) => value !== undefined)))
  }

  /** Whether trying again later, unchanged, can succeed. It is safe only if the outcome is `not-applied`. */
  get retryable(): boolean {
    return CODES[this.code].retryable
  }
}
