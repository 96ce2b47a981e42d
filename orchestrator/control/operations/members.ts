import { type Clock, sleep } from '../../core/clock.js'
import { type Code, InternalError, KvError, UnavailableError } from '../../errors/index.js'
import { State } from '../../wire/node-admin.js'
import type { Fleet } from '../fleet.js'
import type { Group } from '../group.js'
import type { NodeLink } from '../links.js'
import type { MapPublisher } from '../map-publisher.js'
import { joinerWith, withJoined, withLeaver } from '../membership.js'
import type { Seat } from '../plan.js'
import type { Supervisor } from '../supervisor.js'
import { askLeader, linkOf } from './ask.js'
import { goneWords, isGone } from './gone.js'

// How a group's members change, one at a time. Each function goes on from wherever it was cut off: Raft is asked again for what
// it may have done already, and the registry says how far it came (membership.ts).

export interface MemberTools {
  readonly fleet: Fleet
  readonly publisher: MapPublisher
  readonly clock: Clock
  /** What it does now, for people. */
  readonly doing: (what: string) => void
}

/** The node that is being added has lost its data, cannot be started, or is on a machine that is gone: another one is to be made in its place. */
export class JoinerLost extends Error {}

const RETRY_MS = 100

/** What is left then takes moments. Whether it has caught up enough to vote the leader decides. */
const NEAR_ENTRIES = 1_000n

/** What asking again does not mend. A precondition may hold later: a configuration changes, a node comes back. */
const FINAL: ReadonlySet<Code> = new Set(['INVALID_ARGUMENT', 'UNSUPPORTED', 'TOO_LARGE', 'INTERNAL', 'CORRUPT'])

/**
 * Starts a node beside the members, or goes on with the one that was begun, until it is a member that has nearly all of the log
 * and no vote. Nothing that it does or fails to do until then matters to the others. Rejects with a JoinerLost.
 */
export async function bring(group: Group, tools: MemberTools, signal: AbortSignal, seat?: Seat): Promise<void> {
  await takeStrangersAway(group, tools, signal)
  const node = await tools.fleet.admit(group, seat)
  tools.doing(`starting ${node.name}`)
  const unlessLost = (holds: () => boolean) => () => {
    expectHope(node, tools)
    return holds()
  }
  await group.until(
    unlessLost(() => group.joiner !== undefined && [node, group.leader].every((one) => group.isIntroduced(one))),
    signal,
  )
  const { joiner } = group
  if (joiner === undefined) throw new TypeError(`${node.name} joins no more`)
  await tools.fleet.recorded(signal)
  const add = (leader: NodeLink, configuration: bigint) => {
    // The leader may ask it first which formats it knows.
    unlessLost(() => true)()
    return leader.addNonVoter(joiner, configuration)
  }
  await order(group, `adding ${node.name} without a vote`, add, tools, signal)
  tools.doing(`${node.name} begins to follow`)
  await group.until(
    unlessLost(() => node.status?.state === State.SERVING),
    signal,
  )
  const isNear = async () => {
    const { members } = await askLeader(group, (leader) => leader.status(), tools.clock, signal)
    const behind = members.find(({ nodeId }) => nodeId === joiner.id)?.behind
    tools.doing(`${node.name} catches up${behind === undefined ? '' : `: ${behind} entries behind`}`)
    return behind !== undefined && behind <= NEAR_ENTRIES
  }
  while (!(await isNear())) {
    unlessLost(() => true)()
    await sleep(tools.clock, RETRY_MS, signal)
  }
}

/** Throws a JoinerLost when it makes no sense to wait for the node. A machine that is only silent may come back. */
function expectHope(node: Supervisor, { fleet }: MemberTools): void {
  if (node.condition === 'held') throw new JoinerLost(`${node.name}: ${node.reason}`)
  if (isGone(node, fleet)) throw new JoinerLost(`${node.name}: ${goneWords(node)}`)
}

/** Gives the node that was brought its vote, as soon as it has caught up. Rejects with a JoinerLost. */
export async function promote(group: Group, tools: MemberTools, signal: AbortSignal): Promise<void> {
  const { joiner } = group
  const node = group.nodeAt(group.record?.joining?.index ?? 0)
  if (joiner === undefined || node === undefined) return
  // From here on it may have voted: without its log it must not come back.
  await group.change((record) => joinerWith(record, { mayVote: true }))
  await tools.fleet.recorded(signal)
  const vote = (leader: NodeLink, configuration: bigint) => {
    expectHope(node, tools)
    return leader.promote(joiner.id, configuration)
  }
  await order(group, `${node.name} catches up`, vote, tools, signal)
}

/** The node that has its vote is a member for whoever asks from now on. */
export async function settleJoined(group: Group, { publisher }: MemberTools, signal: AbortSignal): Promise<void> {
  await group.change(withJoined)
  // The map follows the members.
  await publisher.change((map) => map, signal)
}

/**
 * Takes a member's vote and place from it. Its process goes on. Rejects with the reason of `recalled` when that is aborted and
 * nobody can have carried the order out; else it goes on until it is known that it has been.
 */
export async function expel(
  group: Group,
  index: number,
  tools: MemberTools,
  signal: AbortSignal,
  recalled?: AbortSignal,
): Promise<void> {
  const id = group.idOf(index)
  if (id === undefined) return
  const name = group.nodeAt(index)?.name ?? id
  const remove = (leader: NodeLink, configuration: bigint) => leader.removeMember(id, configuration)
  await order(group, `removing ${name} from ${group.name}`, remove, tools, signal, recalled)
}

/** Ends and removes a node that has been expelled, when nobody is routed to it any more. */
export async function settleLeft(group: Group, index: number, tools: MemberTools, signal: AbortSignal): Promise<void> {
  const { fleet, publisher, doing } = tools
  if (group.idOf(index) !== undefined) await group.change((record) => withLeaver(record, index))
  await publisher.change((map) => map, signal)
  doing(`removing what is left of node ${index} of ${group.name}`)
  await fleet.clear(group, signal)
}

/** The node that was being added goes again, however far it came. */
export async function takeJoinerAway(group: Group, tools: MemberTools, signal: AbortSignal): Promise<void> {
  const { joining } = group.record ?? {}
  if (joining !== undefined) {
    await expel(group, joining.index, tools, signal)
    await group.change((record) => withLeaver(record, joining.index))
  }
  await tools.fleet.clear(group, signal)
}

/**
 * An order of an orchestrator that died may have arrived after its successor had settled the matter. Only that a node be added
 * can have had an effect then: every other order names the configuration that it was made for.
 */
async function takeStrangersAway(group: Group, tools: MemberTools, signal: AbortSignal): Promise<void> {
  const known = new Set(group.peers.map(({ id }) => id))
  const { members } = await askLeader(group, (leader) => leader.status(), tools.clock, signal)
  for (const { nodeId, voter } of members) {
    if (voter || known.has(nodeId)) continue
    const remove = (leader: NodeLink, configuration: bigint) => leader.removeMember(nodeId, configuration)
    await order(group, `removing ${nodeId}, which nobody waits for`, remove, tools, signal)
  }
}

/**
 * Tells the leader, whoever that becomes, until it has done so. Each order names the configuration that it was made for.
 * `recalled` ends it as long as every answer was that it has not been carried out.
 */
async function order(
  group: Group,
  what: string,
  call: (leader: NodeLink, configuration: bigint) => Promise<bigint>,
  { doing, clock }: MemberTools,
  signal: AbortSignal,
  recalled = signal,
): Promise<void> {
  doing(what)
  let until = AbortSignal.any([signal, recalled])
  for (;;) {
    until.throwIfAborted()
    await group.until(() => group.isReady, until)
    try {
      const leader = linkOf(group)
      const { configuration, configurationCommitted } = await leader.status()
      if (configuration === 0n) throw new InternalError('a leader without members', { outcome: 'not-applied' })
      // The index of one that is not may become another one's, for which this order was not made.
      if (!configurationCommitted) throw new UnavailableError('members change just now', { outcome: 'not-applied' })
      until.throwIfAborted()
      await call(leader, configuration)
      return
    } catch (error) {
      if (!(error instanceof KvError) || FINAL.has(error.code)) throw error
      if (error.outcome !== 'not-applied') until = signal
      doing(`${what}: ${error.message}`)
      await sleep(clock, RETRY_MS, until)
    }
  }
}
