import { groupName, nodeName } from '../data-directory.js'
import type { Fleet } from '../fleet.js'
import type { Group } from '../group.js'
import { isSpent } from '../membership.js'
import { type Candidate, chooseLeaver } from './choose.js'
import type { Kind, OperationParts, OperationTools, Step, Wish } from './kind.js'
import { bring, expel, JoinerLost, promote, settleJoined, settleLeft, takeJoinerAway } from './members.js'
import {
  planChanges,
  type ReplicaChange,
  type ReplicasRecord,
  replicasGoalOf,
  turnChangesBack,
  withChange,
} from './replicas-record.js'
import { UnderWay } from './under-way.js'

/** Changes the number of nodes of every group, one node at a time. */
export const replicas: Kind<ReplicasRecord> = {
  describe: ({ fromReplicas, toReplicas }) => `scale from ${fromReplicas} to ${toReplicas} replicas`,
  steps: ({ changes }) => changes.map(stepOf),
  cancelled: (now) => now,
  run,
}

/** That there be so many. */
export function wishForReplicas(wanted: number): Wish {
  return {
    isMetBy: (open) => open.kind === 'replicas' && open.toReplicas === wanted && open.state === 'running',
    plan: (parts) => planned(wanted, parts),
    expectPossible: ({ fleet }) => fleet.expectRoomForMore(Math.max(0, wanted - fleet.shape.replicas)),
  }
}

function planned(toReplicas: number, { fleet, clock }: OperationParts): ReplicasRecord {
  const sizes = fleet.all.map(({ shard, record }) => [shard, record?.members.length ?? toReplicas] as const)
  const changes = planChanges(sizes, toReplicas)
  const fromReplicas = fleet.shape.replicas
  const state = changes.length === 0 && fromReplicas === toReplicas ? 'done' : 'running'
  const fresh = { paused: false, turned: false, begunAt: clock.now(), endedAt: 0 }
  return { format: 1, kind: 'replicas', id: '', fromReplicas, toReplicas, state, ...fresh, changes }
}

function stepOf({ shard, how, index, state, attempts }: ReplicaChange): Step {
  const node = index === 0 ? `a node` : nodeName({ shard, index })
  const what = how === 'add' ? `add ${node} to ${groupName(shard)}` : `take ${node} away from ${groupName(shard)}`
  return { what, state, detail: attempts > 1 ? `try ${attempts}` : '' }
}

async function run(record: ReplicasRecord, tools: OperationTools, recalled: AbortSignal, signal: AbortSignal) {
  const underWay = new UnderWay(record, tools, recalled, signal)
  const operation = new Replicas(underWay, tools)
  await operation.turnBackIfCancelled()
  await operation.finishWhatRuns()
  while (!underWay.isSteered && !underWay.isPaused && (await operation.next())) {}
  if (underWay.isSteered || underWay.isPaused) return
  await tools.fleet.setReplicas(replicasGoalOf(underWay.now))
  await underWay.end()
}

class Replicas {
  constructor(
    private readonly underWay: UnderWay<ReplicasRecord>,
    private readonly tools: OperationTools,
  ) {}

  /** What is under way is settled first: a node that comes goes again, one that goes is gone. */
  async turnBackIfCancelled(): Promise<void> {
    const { state, turned, changes } = this.underWay.now
    if (state !== 'cancelling' || turned) return
    const at = changes.findIndex((change) => change.state === 'running')
    const change = changes[at]
    if (change?.how === 'add' && !this.#isMember(change)) {
      await takeJoinerAway(this.#groupOf(change), this.tools, this.underWay.signal)
      await this.#note(at, { state: 'waiting' })
    } else await this.finishWhatRuns()
    await this.underWay.update((now) => ({ ...now, turned: true, changes: turnChangesBack(now.changes) }))
  }

  async finishWhatRuns(): Promise<void> {
    const at = this.underWay.now.changes.findIndex(({ state }) => state === 'running')
    // Whoever noted it before may have given its order: that shows when it is given again.
    if (at >= 0) await this.#carryOut(at, false)
  }

  /** Makes the next change. False when none is left. */
  async next(): Promise<boolean> {
    const { fleet } = this.tools
    const at = this.underWay.now.changes.findIndex(({ state }) => state === 'waiting')
    const change = this.underWay.now.changes[at]
    if (change === undefined) return false
    const group = this.#groupOf(change)
    if (change.attempts > 0) await this.underWay.restAfter(change.attempts)
    if (this.underWay.isSteered) return true
    // Written down before anything is done with the node: whoever comes next means the same one.
    if (change.how === 'add') {
      const index = (group.record?.lastIndex ?? 0) + 1
      await this.#note(at, { state: 'running', index, attempts: change.attempts + 1 })
    } else {
      const index =
        change.index === 0
          ? (chooseLeaver(candidatesOf(group, this.tools.leaders), nodesOn(fleet))?.index ?? 0)
          : change.index
      await this.#note(at, { state: 'running', index })
    }
    await this.#carryOut(at, true)
    return true
  }

  async #carryOut(at: number, isFresh: boolean): Promise<void> {
    const change = this.underWay.now.changes[at]
    if (change?.how === 'add') await this.#add(at, change)
    else if (change !== undefined) await this.#remove(at, change, isFresh)
  }

  /** Waits that may never end are over when it is cancelled; the change is settled by whoever turns it back. */
  async #add(at: number, change: ReplicaChange): Promise<void> {
    const group = this.#groupOf(change)
    const { signal } = this.underWay
    // It was taken away, and whoever did that died before it was noted. What is begun now has another index.
    if (group.record !== undefined && isSpent(group.record, change.index)) {
      await takeJoinerAway(group, this.tools, signal)
      await this.#note(at, { state: 'waiting', index: 0 })
      return
    }
    try {
      if (!this.#isMember(change)) {
        await this.underWay.unlessRecalled(async (either) => {
          await bring(group, this.tools, either)
          await promote(group, this.tools, either)
        })
        if (this.underWay.isSteered && this.underWay.recalled.aborted) return
      }
      await settleJoined(group, this.tools, signal)
      await this.#note(at, { state: 'done' })
    } catch (error) {
      if (!(error instanceof JoinerLost)) throw error
      this.tools.doing(`another node is made: ${error.message}`)
      await takeJoinerAway(group, this.tools, signal)
      await this.#note(at, { state: 'waiting', index: 0 })
    }
  }

  /** Cancelled before anybody can have carried it out, it was never begun. */
  async #remove(at: number, change: ReplicaChange, isFresh: boolean): Promise<void> {
    const group = this.#groupOf(change)
    const recalled = isFresh ? this.underWay.recalled : undefined
    try {
      await expel(group, change.index, this.tools, this.underWay.signal, recalled)
    } catch (error) {
      this.underWay.signal.throwIfAborted()
      if (recalled === undefined || error !== recalled.reason) throw error
      await this.#note(at, { state: 'waiting' })
      return
    }
    await settleLeft(group, change.index, this.tools, this.underWay.signal)
    await this.#note(at, { state: 'done' })
  }

  #isMember({ index, ...change }: ReplicaChange): boolean {
    return this.#groupOf(change).record?.members.some((one) => one.index === index) ?? false
  }

  #groupOf({ shard }: Pick<ReplicaChange, 'shard'>): Group {
    return this.tools.fleet.shard(shard)
  }

  async #note(at: number, change: Partial<ReplicaChange>): Promise<void> {
    await this.underWay.update((now) => withChange(now, at, change))
  }
}

export function candidatesOf(group: Group, leaders: OperationParts['leaders']): Candidate[] {
  return group.voters.map((node) => ({
    index: node.spec.index,
    machine: node.spec.machine,
    leads: group.leader === node,
    answers: node.condition === 'up',
    drained: leaders.unfit(group, node) === 'drained',
  }))
}

export function nodesOn(fleet: Fleet): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  for (const { spec } of fleet.all.flatMap(({ nodes }) => nodes)) {
    counts.set(spec.machine, (counts.get(spec.machine) ?? 0) + 1)
  }
  return counts
}
