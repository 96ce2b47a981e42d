import type { KvError } from '../errors/index.js'
import type { Context } from './context.js'
import { EXIT } from './exit-codes.js'
import { NoServerError } from './reach.js'

/** What somebody asked for, so that its failure can be told. */
export interface Task {
  /** "get "k1"", the key shortened. */
  readonly what: string
  readonly address: string
  /** Only then is there an outcome to be told: a read changes nothing. */
  readonly writes: boolean
  /** Whether a program reads stdout. */
  readonly json: boolean
}

/** Tells a failure in one line for people, and as JSON if a program asked; gives the exit code. */
export function tellFailure(error: KvError, task: Task, { out, warn }: Context): number {
  const { code, outcome, token } = error
  const message = oneLine(error.message)
  // Where a watch goes on that missed too much. Without a token the field is not there.
  const known = task.writes ? { code, outcome, message } : { code, message, token }
  if (task.json) out(`${JSON.stringify({ ok: false, error: known })}\n`)
  warn(`kvorum: ${error instanceof NoServerError ? message : wordsFor(error, message, task)}\n`)
  return isUsage(error) ? EXIT.usage : EXIT.failed
}

function wordsFor(error: KvError, message: string, { what, address, writes }: Task): string {
  const known = writes ? `${error.code}, ${error.outcome}` : error.code
  const advice = adviceFor(error, what, writes)
  return `${what} on ${address} failed: ${message} (${known})${advice === '' ? '' : `; ${advice}`}`
}

function adviceFor(error: KvError, what: string, writes: boolean): string {
  if (writes && error.outcome === 'unknown') return 'it may have been done: read the key before you write again'
  if (writes && error.outcome === 'applied') return 'it has been done all the same'
  if (isUsage(error)) return ''
  const again = what === 'status' ? 'try again' : 'try again; kvorum status shows the nodes'
  // What did not hold is said by the message, and no log has more on it.
  if (OF_THE_STATE.has(error.code)) return writes ? 'nothing was changed' : ''
  const advice = error.retryable ? again : "the log of npm start and the nodes' node.log may say more"
  return writes ? `nothing was changed: ${advice}` : advice
}

const OF_THE_STATE: ReadonlySet<string> = new Set([
  'PRECONDITION_FAILED',
  'NOT_A_NUMBER',
  'OVERFLOW',
  'COMPACTED',
  'LEASE_NOT_FOUND',
])

function isUsage({ code }: KvError): boolean {
  return code === 'INVALID_ARGUMENT' || code === 'TOO_LARGE' || code === 'CROSS_SHARD'
}

function oneLine(text: string): string {
  return text.replace(/\s*\n\s*/g, ' ')
}
