import { type Clock, sleep } from '../../core/clock.js'
import { KvError } from '../../errors/index.js'
import { type NodeStatus, Role, State } from '../../wire/node-admin.js'
import type { Group } from '../group.js'
import type { Supervisor } from '../supervisor.js'

const ASK_MS = 1_000
const LOOK_EVERY_MS = 20
/** How long the next leader may take to apply what is committed, and to serve when it leads. */
const CAUGHT_UP_MS_MAX = 1_000
const SERVES_MS_MAX = 5_000
/** Entries that the next leader may lack, which clients wait for while it gets them. */
const BEHIND_MAX = 100n

/** Whether a follower could take over, as far as the nodes have told by themselves. */
export function isWell({ condition, status }: Supervisor, leader: NodeStatus): boolean {
  return (
    condition === 'up' &&
    status?.state === State.SERVING &&
    status.role === Role.FOLLOWER &&
    status.term === leader.term &&
    status.leaderId === leader.nodeId
  )
}

/**
 * Hands leadership of the group to the node; done when it serves. Gives why that was not done, or did not end well, if so. Both are
 * asked before, so that clients wait for as little as possible. Rejects when `signal` is aborted.
 */
export async function handOver(
  group: Group,
  to: Supervisor,
  clock: Clock,
  signal: AbortSignal,
): Promise<string | undefined> {
  const from = group.leader
  try {
    const leader = await from?.admin?.status({ deadlineMs: ASK_MS })
    if (leader?.role !== Role.LEADER || !leader.ready) return `${from?.name ?? group.name} does not lead any more`
    const next = await caughtUp(to, leader, clock, signal)
    const behind = leader.members.find(({ nodeId, voter }) => voter && nodeId === next?.nodeId)?.behind
    if (next === undefined || behind === undefined || behind > BEHIND_MAX) return `${to.name} has not caught up`
    await from?.admin?.transferLeadership(next.nodeId)
    await until(group, () => group.isReady && (group.leader?.status?.term ?? 0n) > leader.term, clock, signal)
    return group.leader === to ? undefined : `${group.leader?.name ?? 'nobody'} leads`
  } catch (error) {
    signal.throwIfAborted()
    if (!(error instanceof KvError)) throw error
    return error.message
  }
}

/** What the node says when it follows this leader and has applied what that one had committed; undefined: not in time. */
async function caughtUp(
  node: Supervisor,
  leader: NodeStatus,
  clock: Clock,
  signal: AbortSignal,
): Promise<NodeStatus | undefined> {
  const since = clock.monotonic()
  do {
    const status = await node.admin?.status({ deadlineMs: ASK_MS })
    if (status?.leaderId !== leader.nodeId) return undefined
    if (status.appliedIndex >= leader.commitIndex) return status
    await sleep(clock, LOOK_EVERY_MS, signal)
  } while (clock.monotonic() - since < CAUGHT_UP_MS_MAX)
  return undefined
}

/** Until it holds, or it has taken too long: whoever calls looks again at what is. */
async function until(group: Group, holds: () => boolean, clock: Clock, signal: AbortSignal): Promise<void> {
  const late = new AbortController()
  const timer = clock.setTimeout(() => late.abort(), SERVES_MS_MAX)
  try {
    await group.until(holds, AbortSignal.any([signal, late.signal]))
  } catch (error) {
    signal.throwIfAborted()
    if (!late.signal.aborted) throw error
  } finally {
    timer.cancel()
  }
}
