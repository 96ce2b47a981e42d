import type { Operation, Result, Stamp } from '../core/operation.js'
import type { KvError } from '../errors/index.js'

/** One attempt at one operation, as a lane sees it. The lane calls `complete` exactly once for each `send`. */
export interface LaneRequest {
  readonly operation: Operation
  /** Of a write that happens once, however often it is sent. */
  readonly stamp?: Stamp | undefined
  /** What it holds, for the size of messages. */
  readonly bytes: number
  /** On the monotonic clock, ms. The lane completes it with DEADLINE_EXCEEDED soon after. */
  readonly deadline: number
  /** Nobody waits any more: the lane drops it, and need not complete it, unless it was sent already. */
  readonly settled: boolean
  /**
   * Set by the lane when the operation is handed to the stream: from then on a write may have been applied. Whoever sends
   * it again after an answer that says otherwise takes it back first.
   */
  sent: boolean
  /** Exactly one of the two is given. Must not throw. */
  complete(error: KvError | undefined, result: Result | undefined): void
}
