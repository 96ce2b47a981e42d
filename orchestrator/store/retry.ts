import { CODES, type Code, type Outcome } from '../errors/index.js'

/** Everything that the decision depends on. */
export interface Failure {
  readonly code: Code
  readonly outcome: Outcome
  /** The operation changes nothing. */
  readonly read: boolean
  /** What becomes of it twice: a write with a number happens once. `passed`: the number is a client's, for this shard. */
  readonly stamp: 'none' | 'own' | 'passed'
  /** Its answer may hold a value. */
  readonly exchange: boolean
  /** It names the shard that it is for: another one is no answer to it. */
  readonly placed: boolean
  /** An earlier attempt may have been applied. */
  readonly inDoubt: boolean
  /** Attempts so far, this one included. */
  readonly attempt: number
  /** The failure taught a better place to ask: a newer leader, a newer map. */
  readonly redirected: boolean
  /** Redirects followed at once since the last wait. */
  readonly redirects: number
  readonly retryAfterMs: number | undefined
  /** Until the operation's deadline. */
  readonly remainingMs: number
  /** In [0, 1), for the jitter. */
  readonly chance: number
}

export type Decision =
  | { readonly action: 'retry'; readonly delayMs: number }
  /** `unsafe`: it may have been applied. `permanent`: trying again cannot help. `deadline`: no time is left for it. */
  | { readonly action: 'fail'; readonly reason: 'unsafe' | 'permanent' | 'deadline' }

const BACKOFF_FIRST_MS = 2
export const BACKOFF_MS_MAX = 50
/**
 * A move takes some ms of a partition's time: who asks seldom would make it more, and who asks often makes messages of one
 * operation each, just when the machine has most to do.
 */
const MOVING_MS = 10

/** Longer than a crowd needs to be worked off; what a server asks for itself may be more. */
const OVERLOADED_MS_MAX = 500

const FINAL: ReadonlySet<Code> = new Set([
  'PRECONDITION_FAILED',
  'NOT_A_NUMBER',
  'LEASE_NOT_FOUND',
  'OVERFLOW',
  'WRONG_SHARD',
])

/** The one place that decides on retry. Pure. */
export function decide(failure: Failure): Decision {
  if (!isSafe(failure)) return { action: 'fail', reason: 'unsafe' }
  if (!mayHelp(failure)) return { action: 'fail', reason: 'permanent' }
  const delayMs = delay(failure)
  if (delayMs >= failure.remainingMs) return { action: 'fail', reason: 'deadline' }
  return { action: 'retry', delayMs }
}

/** A session that is not known says nothing of earlier attempts, those of a gateway on our behalf included. */
function isSafe({ code, read, stamp, outcome, inDoubt }: Failure): boolean {
  if (code === 'SESSION_EXPIRED') return stamp === 'own' && !inDoubt && outcome === 'not-applied'
  return read || outcome === 'not-applied' || (stamp !== 'none' && outcome === 'unknown')
}

/**
 * A peer's DEADLINE_EXCEEDED is about the time that its message had; the operation may have more. A client's number is for
 * the shard that it meant: if another one owns the key, the client must give the write another number. And only the client's own next message says
 * which answers it has by now: a session that is full of values has no room before that.
 */
function mayHelp({ code, stamp, exchange, placed }: Failure): boolean {
  if (code === 'WRONG_SHARD' && (stamp === 'passed' || placed)) return false
  if (code === 'OVERLOADED' && stamp === 'passed' && exchange) return false
  return CODES[code].retryable || code === 'SESSION_EXPIRED'
}

/**
 * Whether only the state machine answers a write so, which is the answer of every attempt with the same number. What else
 * says `not-applied` is true of one attempt only: limits, for one, may differ from node to node.
 */
export function isFinal(code: Code): boolean {
  return FINAL.has(code)
}

function delay({ code, attempt, redirected, redirects, retryAfterMs, chance }: Failure): number {
  // Two nodes may disagree for a moment, each naming the other: follow once, then wait.
  if (redirected && redirects === 0) return 0
  const grown = Math.min(BACKOFF_MS_MAX, BACKOFF_FIRST_MS * 2 ** Math.min(attempt - 1, 10))
  const ceiling = code === 'MOVING' ? MOVING_MS : grown
  const backoff = ceiling * (0.5 + chance / 2)
  if (code !== 'OVERLOADED' || retryAfterMs === undefined) return backoff
  // Each refusal doubles the wait, and the spread with it: a crowd that came together comes back apart, and less often.
  const wait = retryAfterMs * 2 ** Math.min(attempt - 1, 10)
  return Math.max(retryAfterMs, Math.min(wait, OVERLOADED_MS_MAX)) * (1 + chance)
}
