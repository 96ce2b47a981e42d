import { type Clock, sleep } from '../../core/clock.js'
import { KvError } from '../../errors/index.js'
import { type NodeStatus, Role, State } from '../../wire/node-admin.js'
import type { Group } from '../group.js'
import type { Leaders } from '../leaders/leaders.js'
import type { Manner, Supervisor } from '../supervisor.js'
import { goneOf, goneWords, isGone, isTooMany, type Machines } from './gone.js'

// One node of a group is ended and started again, and the group serves all the while. Everything is looked at anew by each
// call: nothing of an earlier one is needed but how the node's process was started, which is written down with its pid.

export interface RollParts {
  readonly group: Group
  readonly node: Supervisor
  /** `startedFor` says of the node's process whether this has been done. */
  readonly manner: Manner
  readonly fleet: Machines
  readonly leaders: Pick<Leaders, 'unfit'>
  readonly clock: Clock
  readonly stopTimeoutMs: number
  /** How long the node may take to get any further on its way up. */
  readonly startTimeoutMs: number
  readonly doing: (what: string) => void
}

/** It is not restarted: it is on a machine that is gone, or its group cannot do without it as long as another one is. */
export class NodeSkipped extends Error {}

const LOOK_EVERY_MS = 50
const ASK_MS = 1_000
/** So many failures in a row, and the node is not waited for. */
const FAILURES_MAX = 3

/**
 * Undefined when the node is up and has caught up; else why it does not come up. Rejects with a NodeSkipped, and when `signal` is
 * aborted.
 */
export async function rollNode(parts: RollParts, signal: AbortSignal): Promise<string | undefined> {
  const { group, node, manner, stopTimeoutMs, doing } = parts
  const isStarted = () => node.manner.startedFor === manner.startedFor && !node.isRestarting
  for (;;) {
    const isFailing = failureOf(node) !== undefined
    if (!isStarted() || isFailing) {
      // One that does not run can only be missed less, and never more than when another one has died meanwhile.
      if (!isFailing && group.voters.length > 1) {
        await awaitOthers(parts, signal)
        await handOver(parts, signal)
      }
      await awaitReach(parts, signal)
      doing(`restarting ${node.name}`)
      node.restart(manner, stopTimeoutMs)
    }
    const outcome = await awaitUp(parts, isStarted, signal)
    if (outcome !== OUT_OF_REACH) return outcome
    // That its machine is away says nothing of the node: looked at anew when it is back.
    await awaitReach(parts, signal, () => node.condition === 'up')
  }
}

/** Waits until its process can be ended: an order to a machine that does not answer would come to nothing. */
async function awaitReach(parts: RollParts, signal: AbortSignal, isEnough = () => false): Promise<void> {
  const { node, clock, doing } = parts
  for (;;) {
    signal.throwIfAborted()
    const trouble = whyOutOfReach(parts)
    if (trouble === undefined || isEnough()) return
    expectSense(parts)
    doing(`waiting to reach ${node.name}: ${trouble}`)
    await sleep(clock, LOOK_EVERY_MS, signal)
  }
}

function whyOutOfReach({ node, fleet }: RollParts): string | undefined {
  const { machine } = node.spec
  return node.doubt ?? (fleet.hears(machine) ? undefined : `machine ${machine} does not answer`)
}

/** Throws a NodeSkipped when it makes no sense to wait any longer. */
function expectSense({ group, node, fleet }: RollParts): void {
  if (isGone(node, fleet)) throw new NodeSkipped(goneWords(node))
  const [first, ...more] = goneOf(group, fleet)
  if (first === undefined || !isTooMany(group, more.length + 2)) return
  throw new NodeSkipped(`${group.name} cannot do without it as long as ${first.name} is away: ${goneWords(first)}`)
}

/**
 * Waits until every other member serves, follows the leader, and has applied what was committed when this began to wait. Those
 * that are gone are not waited for, as long as the others are enough.
 */
async function awaitOthers(parts: RollParts, signal: AbortSignal): Promise<void> {
  const { group, node, fleet, clock, doing } = parts
  let goal: bigint | undefined
  for (;;) {
    signal.throwIfAborted()
    expectSense(parts)
    const others = group.voters.filter((one) => one !== node && !isGone(one, fleet))
    const leader = others.length === 0 ? undefined : await leaderOf(group)
    goal ??= leader?.commitIndex
    const lacks = await Promise.all(others.map((one) => whatLacks(one, leader, goal)))
    const missing = lacks.find((lack) => lack !== undefined)
    if (missing === undefined) return
    doing(`waiting with ${node.name} for ${missing}`)
    await sleep(clock, LOOK_EVERY_MS, signal)
  }
}

/**
 * Hands leadership to the other member whose log is the longest, of those that are to lead if there are any, as often as that is
 * necessary.
 */
async function handOver(parts: RollParts, signal: AbortSignal): Promise<void> {
  const { group, node, leaders, clock, doing } = parts
  while (group.leader === node) {
    const { term, nodeId } = node.status ?? { term: 0n, nodeId: '' }
    const fit = group.voters.filter((one) => one !== node && leaders.unfit(group, one) === undefined)
    const asked = await Promise.all((fit.length > 0 ? fit : group.voters).map(ask))
    const others = asked.filter((one) => one !== undefined && one.nodeId !== nodeId)
    const best = others.reduce((a, b) => ((b?.lastLogIndex ?? 0n) > (a?.lastLogIndex ?? 0n) ? b : a), others[0])
    doing(`${node.name} hands over`)
    try {
      await node.admin?.transferLeadership(best?.nodeId)
      const isLed = () => {
        expectSense(parts)
        return group.isReady && (group.leader?.status?.term ?? 0n) > term
      }
      await group.until(isLed, signal)
    } catch (error) {
      // It leads still, or nobody knows: looked at again.
      if (!(error instanceof KvError)) throw error
      await sleep(clock, LOOK_EVERY_MS, signal)
    }
  }
  // Whoever made the new leader's majority may have been the old one: the others follow it too, before that one goes.
  await awaitOthers(parts, signal)
}

const OUT_OF_REACH = Symbol('its machine does not answer')

/** Waits until the node has what was committed when it was up. Gives up when it fails, or gets no further for too long. */
async function awaitUp(
  parts: RollParts,
  isStarted: () => boolean,
  signal: AbortSignal,
): Promise<string | typeof OUT_OF_REACH | undefined> {
  const { group, node, clock, startTimeoutMs, doing } = parts
  let goal: bigint | undefined
  let [seen, since] = ['', clock.monotonic()]
  // Failures of before a person resumed the operation say nothing about what he has mended.
  let before = node.failures
  for (;;) {
    signal.throwIfAborted()
    if (node.condition !== 'up' && whyOutOfReach(parts) !== undefined) return OUT_OF_REACH
    before = Math.min(before, node.failures)
    const failure = failureOf(node, before)
    // Also when no process of this manner could be started at all.
    if (failure !== undefined) return failure
    const leader = await leaderOf(group)
    const status = isStarted() ? await ask(node) : undefined
    if (status?.state === State.SERVING) goal ??= leader?.commitIndex
    const lack = isStarted() ? await whatLacks(node, leader, goal) : `${node.name} to end`
    if (lack === undefined && goal !== undefined) return undefined
    const now = `${node.pid} ${status?.state} ${status?.appliedIndex}`
    if (now !== seen) [seen, since] = [now, clock.monotonic()]
    if (clock.monotonic() - since > startTimeoutMs) {
      return `it has got no further for ${startTimeoutMs / 1_000} s: ${node.reason || `waiting for ${lack}`}`
    }
    doing(`waiting for ${lack ?? `${group.name} to have a leader`}`)
    await sleep(clock, LOOK_EVERY_MS, signal)
  }
}

/** Why the node is not waited for. `before`: so many of its failures do not count. */
function failureOf(node: Supervisor, before = 0): string | undefined {
  const fails = node.condition === 'held' || (node.condition !== 'up' && node.failures - before >= FAILURES_MAX)
  return fails ? node.reason : undefined
}

/** What is missing until a member is one on which its group can count; in words, after "waiting for". */
async function whatLacks(
  node: Supervisor,
  leader: NodeStatus | undefined,
  goal: bigint | undefined,
): Promise<string | undefined> {
  const status = await ask(node)
  if (status === undefined) return `${node.name} (${node.reason || 'it does not answer'})`
  if (status.state !== State.SERVING) return `${node.name} to serve`
  if (leader === undefined || goal === undefined) return `a leader of ${node.name.replace(/\/.*/, '')}`
  if (status.nodeId !== leader.nodeId && status.leaderId !== leader.nodeId) return `${node.name} to follow its leader`
  if (status.appliedIndex < goal) return `${node.name} to catch up (${status.appliedIndex} of ${goal})`
  return undefined
}

/** The leader's own word, now; undefined when there is none that serves. */
async function leaderOf(group: Group): Promise<NodeStatus | undefined> {
  const status = group.leader === undefined ? undefined : await ask(group.leader)
  return status?.role === Role.LEADER && status.ready ? status : undefined
}

async function ask(node: Supervisor): Promise<NodeStatus | undefined> {
  try {
    return await node.admin?.status({ deadlineMs: ASK_MS })
  } catch (error) {
    if (error instanceof KvError) return undefined
    throw error
  }
}
