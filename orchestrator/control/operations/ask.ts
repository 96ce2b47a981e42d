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
      return await call(linkOf(group))
    } catch (error) {
      if (!(error instanceof KvError) || FINAL.has(error.code)) throw error
      await sleep(clock, RETRY_MS, signal)
    }
  }
}

/** The connection to a shard's leader. */
export function linkOf(group: Group): NodeLink {
  const admin = group.leader?.admin
  if (admin === undefined) throw new UnavailableError(`${group.name} has no leader`, { outcome: 'not-applied' })
  return admin
}
