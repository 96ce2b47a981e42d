import type { Clock } from '../core/clock.js'
import { DEADLINE_MS_MAX, type Limits } from '../core/limits.js'
import {
  bytesOf,
  isPlaced,
  isWrite,
  type Operation,
  type Result,
  returnsPrevious,
  type Stamp,
} from '../core/operation.js'
import type { Rng } from '../core/rng.js'
import { CancelledError, DeadlineExceededError, type KvError, kvError, OverloadedError } from '../errors/index.js'
import { Call, type CallOwner, type Done } from './call.js'
import { Pace } from './pace.js'
import { decide, isFinal } from './retry.js'
import { faultOf } from './validate.js'
import { WakeQueue } from './wake-queue.js'

/** Who knows where a call goes. */
export interface Router {
  /** Begins one attempt, which ends in the call's `complete`; or parks the call. */
  route(call: Call): void
  /** Learns from a failed attempt. Says whether that taught a better place to ask. */
  learn(call: Call, error: KvError): boolean
  /** A call waits no more, wherever it was parked; or it has ended. */
  forget(call: Call): void
}

export interface ExecutorOptions {
  readonly limits: Limits
  readonly clock: Clock
  readonly rng: Rng
}

/** After this long a caller that found us full may try again. */
const OVERLOADED_RETRY_MS = 10

/**
 * Carries operations from the ask to the answer: limits, budget, attempts, waits, deadline. Retry is decided here and
 * nowhere else. Every call is answered exactly once, at the latest shortly after its deadline.
 */
export class Executor implements CallOwner {
  readonly #options: ExecutorOptions
  readonly #router: Router
  readonly #waiting: WakeQueue<Call>
  readonly #pace: Pace
  #bytes = 0
  #operations = 0
  #closed = false

  constructor(router: Router, options: ExecutorOptions) {
    this.#router = router
    this.#options = options
    this.#pace = new Pace(options.clock)
    this.#waiting = new WakeQueue<Call>(options.clock, (call) => this.#wake(call))
  }

  /** `deadlineMs` is from now. Never throws; `done` may be called before it returns. */
  submit(operation: Operation, deadlineMs: number, done: Done, stamp?: Stamp): Call | undefined {
    const { limits, clock } = this.#options
    // A session is opened for writes that are counted themselves.
    const counted = operation.kind !== 'open-session'
    const bytes = counted ? bytesOf(operation) : 0
    const fault = faultOf(operation, limits) ?? this.#refusal(bytes, deadlineMs)
    if (fault !== undefined) {
      done(fault, undefined)
      return undefined
    }
    this.#bytes += bytes
    if (counted) this.#operations++
    const now = clock.monotonic()
    const call = new Call(this, operation, bytes, now, now + Math.min(deadlineMs, DEADLINE_MS_MAX), done, stamp)
    this.#router.route(call)
    return call
  }

  /**
   * Why more operations had better not come now; undefined when there is room. Also in time: what waits for longer than
   * its caller does is work for nobody. `submit` does not look at that: a client of its own waits at its gate. What waits
   * here takes nobody's time: a shard that has no leader, or is full, does not close the others.
   */
  full(): KvError | undefined {
    const { inFlightBytesMax, inFlightOperationsMax } = this.#options.limits
    const inTime = this.#operations - this.#waiting.size < this.#pace.operationsMax
    const room = inTime && this.#operations < inFlightOperationsMax && this.#bytes < inFlightBytesMax
    return room || this.#closed ? undefined : this.#overloaded()
  }

  /** The caller gives up: it is told at once, and the operation is not sent any more if it was not yet. */
  cancel(call: Call, cause: unknown): void {
    if (call.settled) return
    const outcome = (call.sent || call.inDoubt) && isWrite(call.operation) ? 'unknown' : 'not-applied'
    this.#finish(call, new CancelledError(`${call.operation.kind} was cancelled by the caller`, { outcome, cause }))
  }

  attemptDone(call: Call, error: KvError | undefined, result: Result | undefined): void {
    if (error === undefined) {
      this.#finish(call, undefined, result)
      return
    }
    call.lastError = error
    call.sent = false
    const wasInDoubt = call.inDoubt
    if (isFinal(error.code)) call.inDoubt = false
    else if (isWrite(call.operation) && error.outcome !== 'not-applied') call.inDoubt = true
    const redirected = !this.#closed && this.#router.learn(call, error)
    const now = this.#options.clock.monotonic()
    const decision = decide({
      code: error.code,
      outcome: error.outcome,
      read: !isWrite(call.operation),
      stamp: call.stamp === undefined ? 'none' : call.stamp === call.passed ? 'passed' : 'own',
      exchange: returnsPrevious(call.operation),
      placed: isPlaced(call.operation),
      inDoubt: wasInDoubt,
      attempt: call.attempts,
      redirected,
      redirects: call.redirects,
      retryAfterMs: error.retryAfterMs,
      remainingMs: this.#closed ? 0 : call.deadline - now,
      chance: this.#options.rng.float(),
    })
    if (decision.action === 'fail') {
      const late = decision.reason === 'deadline' || error.code === 'DEADLINE_EXCEEDED'
      this.#finish(call, late && !this.#closed ? deadlineError(call, now) : honest(call, error))
      return
    }
    // Each answer of the state machine is that of its number.
    if (error.code === 'SESSION_EXPIRED' || isFinal(error.code)) call.unstamp()
    if (decision.delayMs === 0) {
      call.redirects++
      this.#router.route(call)
    } else {
      call.redirects = 0
      this.#wait(call, now, now + decision.delayMs)
    }
  }

  /** Lets a call wait for `release`, at the longest until its deadline. */
  park(call: Call): void {
    this.#wait(call, this.#options.clock.monotonic(), call.deadline)
  }

  /** Ends an attempt of a call that was parked. */
  fail(call: Call, error: KvError): void {
    if (this.#waiting.remove(call)) this.attemptDone(call, error, undefined)
  }

  /** Routes a call that was parked. */
  release(call: Call): void {
    if (this.#waiting.remove(call)) this.#wake(call)
  }

  /** Routes those anew that wait, for whatever it is, and for which `wanted` is true. */
  reroute(wanted: (call: Call) => boolean): void {
    for (const call of this.#waiting.filter(wanted)) {
      // One may end with another.
      if (!this.#waiting.remove(call)) continue
      this.#router.forget(call)
      this.#wake(call)
    }
  }

  /** Answers everything that waits here; what is with a lane is answered when the lane closes, so close those next. */
  close(): void {
    this.#closed = true
    const error = new CancelledError('the store was closed', { outcome: 'not-applied' })
    // One may end with another: the opening of a session with the last write that waits for it.
    for (const call of this.#waiting.takeAll()) if (!call.settled) this.#finish(call, honest(call, error))
  }

  #refusal(bytes: number, deadlineMs: number): KvError | undefined {
    const { inFlightBytesMax, inFlightOperationsMax } = this.#options.limits
    if (this.#closed) return new CancelledError('the store is closed', { outcome: 'not-applied' })
    if (!(deadlineMs > 0)) {
      return new DeadlineExceededError('the deadline had passed before the start', { outcome: 'not-applied' })
    }
    if (this.#operations < inFlightOperationsMax && this.#bytes + bytes <= inFlightBytesMax) return undefined
    if (bytes === 0) return undefined
    // What is over the whole budget by itself must be possible when nothing else is there.
    if (this.#operations === 0) return undefined
    return this.#overloaded()
  }

  #overloaded(): KvError {
    // Few words: in an answer they are there once for each operation.
    return new OverloadedError('too much at once', {
      outcome: 'not-applied',
      retryAfterMs: OVERLOADED_RETRY_MS,
    })
  }

  #wait(call: Call, now: number, until: number): void {
    call.waitingSince = now
    this.#waiting.add(call, Math.min(until, call.deadline))
  }

  #wake(call: Call): void {
    const now = this.#options.clock.monotonic()
    if (call.waitingSince !== undefined) call.waitedMs += now - call.waitingSince
    call.waitingSince = undefined
    // The wake queue may be a millisecond early.
    if (now + 1 >= call.deadline) this.#finish(call, deadlineError(call, now))
    else this.#router.route(call)
  }

  #finish(call: Call, error: KvError | undefined, result?: Result): void {
    call.settled = true
    call.unstamp()
    this.#bytes -= call.bytes
    if (call.bytes > 0) this.#operations--
    this.#pace.ended()
    this.#waiting.remove(call)
    this.#router.forget(call)
    call.done(error, result)
  }
}

/** An answer that speaks for one attempt says nothing of one before that may have been applied. */
function honest(call: Call, error: KvError): KvError {
  if (!call.inDoubt || error.outcome !== 'not-applied') return error
  return kvError(error.code, `${error.message}; an earlier attempt may have been applied`, {
    ...error,
    outcome: 'unknown',
    cause: error,
  })
}

const DEADLINE_OF = ' reached its deadline of '

/** What an error of another's deadline says, without the words that it begins with and ours do too. */
function storyOf({ message }: KvError, address: string | undefined): string {
  const colon = message.includes(DEADLINE_OF) ? message.indexOf(': ') : -1
  const story = colon < 0 ? message : message.slice(colon + 2)
  return address === undefined ? story : `${story} (so ${address})`
}

/** Says where the time went. */
function deadlineError(call: Call, now: number): KvError {
  const total = Math.round(now - call.started)
  const waited = Math.round(call.waitedMs)
  // What it waits for, if that is another call, says more than it can.
  const { node, lastError, attempts } = call.waitsFor ?? call
  const where = node === undefined ? '' : `, last ${node.address}`
  const last = lastError === undefined ? '' : `; last failure: ${lastError.code}: ${lastError.message}`
  const times = attempts === 1 ? 'once' : `${attempts} times`
  const own = `asked ${times}${where}; waited ${waited} ms for a leader or to ask again${last}`
  // A gateway whose time was as good as ours has said where it went: around that, ours would say the contrary.
  const story = lastError?.code === 'DEADLINE_EXCEEDED' ? storyOf(lastError, node?.address) : own
  return new DeadlineExceededError(`${call.operation.kind}${DEADLINE_OF}${total} ms: ${story}`, {
    outcome: call.inDoubt ? 'unknown' : 'not-applied',
    // To a client the gateway is shard 0, which says nothing.
    shard: call.shard?.id || undefined,
    node: node?.address,
    cause: lastError,
  })
}
