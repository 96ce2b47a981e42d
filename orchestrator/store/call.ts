import { isWrite, type Operation, type Result, type SessionRef, type Stamp } from '../core/operation.js'
import type { KvError } from '../errors/index.js'
import type { LaneRequest } from '../wire/lane-request.js'
import type { Node } from './node.js'
import { Session } from './session.js'
import type { Shard } from './shard.js'
import type { WakeEntry } from './wake-queue.js'

/** Gets exactly one of the two, once. Must not throw. */
export type Done = (error: KvError | undefined, result: Result | undefined) => void

export interface CallOwner {
  attemptDone(call: Call, error: KvError | undefined, result: Result | undefined): void
}

/** One operation on its way, from the caller's ask to the one answer, over all attempts. */
export class Call implements LaneRequest, WakeEntry {
  /** How often a node was asked. */
  attempts = 0
  /** Redirects followed at once since the last wait. */
  redirects = 0
  settled = false
  sent = false
  /** Who wrote it; of a client's own making when it came with the operation. */
  stamp: Stamp | undefined
  /** An attempt may have been applied: what a later one is told says nothing of it, unless the state machine says it. */
  inDoubt = false
  /** The node of the latest attempt. */
  node: Node | undefined
  /** The shard that the latest attempt went to, or that it is parked in. */
  shard: Shard | undefined
  /** Of a read with a bound: the replicas that it has asked in this round. */
  asked: Set<Node> | undefined
  lastError: KvError | undefined
  /** The opening of a session that it needs. */
  waitsFor: Call | undefined
  /** Time spent waiting for a leader or for a retry, and since when it waits now (undefined: it does not). */
  waitedMs = 0
  waitingSince: number | undefined
  wakeAt = 0
  wakeIndex = -1

  constructor(
    private readonly owner: CallOwner,
    readonly operation: Operation,
    readonly bytes: number,
    readonly started: number,
    readonly deadline: number,
    readonly done: Done,
    /** The client's own, which is passed on and not replaced. */
    readonly passed?: Stamp,
  ) {
    this.stamp = passed
  }

  /** It must be given a number before it is sent. */
  get needsStamp(): boolean {
    return this.stamp === undefined && isWrite(this.operation)
  }

  /** The number is answered for: a further attempt takes another. */
  unstamp(): void {
    if (this.stamp === undefined || this.stamp === this.passed) return
    const session: SessionRef = this.stamp.session
    if (session instanceof Session) session.answered(Number(this.stamp.sequence))
    this.stamp = undefined
  }

  complete(error: KvError | undefined, result: Result | undefined): void {
    // Late: the caller gave up, or its deadline passed.
    if (!this.settled) this.owner.attemptDone(this, error, result)
  }
}
