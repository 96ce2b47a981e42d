import { type Clock, sleep } from '../../core/clock.js'
import { type Code, KvError, UnavailableError } from '../../errors/index.js'
import type { Group } from '../group.js'
import type { NodeLink } from '../links.js'

const RETRY_MS = 100

/** What asking again does not mend. */
const FINAL: ReadonlySet<Code> = new Set([
  'PRECONDITION_FAILED',
  'INVALID_ARGUMENT',
  'UNSUPPORTED',
  'TOO_LARGE',
  'INTERNAL',
  'CORRUPT',
])

/**
 * Asks the leader of a shard, whoever that becomes, until it answers. Only for what may be asked twice. Rejects with what
 * asking again does not mend, and when `signal` is aborted.
 */
export async function askLeader<T>(
  group: Group,
  call: (admin: NodeLink) => Promise<T>,
  clock: Clock,
  signal: AbortSignal,
): Promise<T> {
  for (;;) {
    signal.throwIfAborted()
    await group.until(() => group.isReady, signal)
    try {
      return await unlessDeposed(group, call)
    } catch (error) {
      if (!(error instanceof KvError) || FINAL.has(error.code)) throw error
      await sleep(clock, RETRY_MS, signal)
    }
  }
}

/** A leader that has stopped keeps its connections and does not answer. Whoever leads at a greater term does. */
async function unlessDeposed<T>(group: Group, call: (admin: NodeLink) => Promise<T>): Promise<T> {
  const over = new AbortController()
  const deposed = afterDeposed(group, over.signal).then(() => {
    throw new UnavailableError(`${group.name} has another leader`, { outcome: 'unknown' })
  })
  const answer = call(linkOf(group))
  // Whichever is too late is of no interest any more.
  for (const one of [answer, deposed]) one.catch(() => {})
  try {
    return await Promise.race([answer, deposed])
  } finally {
    over.abort(new Error('answered'))
  }
}

/** Resolves when a node leads at a greater term than now. Rejects when `over` is aborted. */
export function afterDeposed(group: Group, over: AbortSignal): Promise<void> {
  const term = () => group.leader?.status?.term ?? 0n
  const began = term()
  return group.until(() => term() > began, over)
}

/** The connection to a shard's leader. */
export function linkOf(group: Group): NodeLink {
  const admin = group.leader?.admin
  if (admin === undefined) throw new UnavailableError(`${group.name} has no leader`, { outcome: 'not-applied' })
  return admin
}
