import { invalidArgument } from '../../errors/index.js'
import { groupName, nodeName } from '../data-directory.js'
import { refused } from '../faults.js'
import type { Fleet } from '../fleet.js'
import type { Group } from '../group.js'
import { isSpent } from '../membership.js'
import type { Seat } from '../plan.js'
import type { Kind, OperationParts, OperationTools, Step, Wish } from './kind.js'
import { bring, expel, JoinerLost, promote, settleJoined, settleLeft, takeJoinerAway } from './members.js'
import type { ReplaceRecord } from './replace-record.js'
import { UnderWay } from './under-way.js'

/** Puts a new node, with a new id, in the place of another one. DESIGN.md says why in which order. */
export const replace: Kind<ReplaceRecord> = {
  describe: ({ shard, leaver, by }) =>
    `replace ${nodeName({ shard, index: leaver })}${by === 'itself' ? ', which is lost' : ''}`,
  steps: stepsOf,
  cancelled: expectNotSwapping,
  run,
}

/** That the node be replaced, which is told by its name or its id. */
export function wishForReplacement(node: string, by: ReplaceRecord['by'] = 'person'): Wish {
  return {
    isMetBy: (open) =>
      open.kind === 'replace' &&
      open.state === 'running' &&
      nodeName({ shard: open.shard, index: open.leaver }) === node,
    plan: (parts) => planned(node, by, parts),
    expectPossible: ({ fleet }) => fleet.expectRoomForMore(1),
  }
}

function planned(node: string, by: ReplaceRecord['by'], { fleet, clock }: OperationParts): ReplaceRecord {
  const found = findMember(fleet, node)
  if (found === undefined) {
    const message = `there is no node ${JSON.stringify(node)}; kvorum status --json lists them with their ids`
    throw invalidArgument(message)
  }
  const { group, index } = found
  if (!hasMajorityWithout(group, index)) {
    throw refused(`${group.name} has no majority without ${node}: start its other nodes first (${group.waitsFor()})`)
  }
  const fresh = { joiner: 0, attempts: 0, paused: false, begunAt: clock.now(), endedAt: 0 }
  const place = { shard: group.shard, leaver: index }
  return { format: 1, kind: 'replace', id: '', ...place, ...fresh, stage: 'bring', by, state: 'running' }
}

function findMember(fleet: Fleet, node: string): { readonly group: Group; readonly index: number } | undefined {
  for (const group of fleet.all) {
    const member = group.record?.members.find(
      ({ id, index }) => id === node || nodeName({ shard: group.shard, index }) === node,
    )
    if (member !== undefined) return { group, index: member.index }
  }
  return undefined
}

/**
 * Whether the others can decide alone who is a member, before the node has gone and after. A single node can: it gives its
 * place to one that has caught up.
 */
export function hasMajorityWithout(group: Group, index: number): boolean {
  const { voters } = group
  if (voters.length === 1) return voters[0]?.condition === 'up'
  const others = voters.filter(({ spec, condition }) => spec.index !== index && condition === 'up').length
  return others * 2 > voters.length - 1 && (others * 2 > voters.length || group.nodeAt(index)?.condition === 'up')
}

function stepsOf(record: ReplaceRecord): Step[] {
  const { shard, leaver, joiner, attempts, stage, state } = record
  const stages = ['bring', 'swap', 'clear']
  const at = state === 'done' ? stages.length : stages.indexOf(stage)
  const words = [
    `bring ${joiner === 0 ? 'a new node' : nodeName({ shard, index: joiner })} to ${groupName(shard)}`,
    `give it the place of ${nodeName({ shard, index: leaver })}`,
    `remove what is left of ${nodeName({ shard, index: leaver })}`,
  ]
  return words.map((what, index) => ({
    what,
    state: index < at ? 'done' : index === at ? 'running' : 'waiting',
    detail: index === 0 && attempts > 1 ? `try ${attempts}` : '',
  }))
}

function expectNotSwapping(now: ReplaceRecord): ReplaceRecord {
  if (now.stage === 'bring') return now
  throw refused(`operation ${now.id} changes the places already: let it end`)
}

async function run(record: ReplaceRecord, tools: OperationTools, recalled: AbortSignal, signal: AbortSignal) {
  const underWay = new UnderWay(record, tools, recalled, signal)
  const operation = new Replacement(underWay, tools)
  if (record.state === 'cancelling') await takeJoinerAway(operation.group, tools, signal)
  else {
    if (underWay.isPaused && record.stage === 'bring') return
    while (underWay.now.stage !== 'clear') {
      await operation.bring()
      if (underWay.now.stage === 'bring') {
        if (underWay.isSteered) return
      } else await operation.swap()
    }
    await operation.clear()
  }
  await underWay.end()
}

class Replacement {
  constructor(
    private readonly underWay: UnderWay<ReplaceRecord>,
    private readonly tools: OperationTools,
  ) {}

  get group(): Group {
    return this.tools.fleet.shard(this.underWay.now.shard)
  }

  /** Until it is a member without a vote that follows. Cancelled, it has changed nothing that anybody depends on. */
  async bring(): Promise<void> {
    const { record } = this.group
    // It was taken away, and whoever did that died before it was noted. What is begun now has another index.
    if (record !== undefined && isSpent(record, this.underWay.now.joiner)) await this.#takeJoinerAway()
    const { attempts, joiner } = this.underWay.now
    if (this.#hasJoined(joiner)) return
    if (joiner === 0) {
      if (attempts > 0) await this.underWay.restAfter(attempts)
      if (this.underWay.isSteered) return
      const index = (this.group.record?.lastIndex ?? 0) + 1
      await this.underWay.update((now) => ({ ...now, joiner: index, attempts: attempts + 1 }))
    }
    try {
      await this.underWay.unlessRecalled((either) => bring(this.group, this.tools, either, this.#seat()))
      if (this.underWay.recalled.aborted) return
      // Past this it cannot be cancelled.
      await this.underWay.update((now) => (now.state === 'running' && !now.paused ? { ...now, stage: 'swap' } : now))
    } catch (error) {
      await this.#another(error)
    }
  }

  /**
   * One that does not answer goes before the new one votes: its place counts against the majority, and the new one would be
   * needed for it. One that answers goes afterwards: until then it is one more that may be lost.
   */
  async swap(): Promise<void> {
    const { leaver } = this.underWay.now
    const { signal } = this.underWay
    const answers = this.group.nodeAt(leaver)?.condition === 'up'
    if (!answers) await expel(this.group, leaver, this.tools, signal)
    try {
      await promote(this.group, this.tools, signal)
    } catch (error) {
      await this.#another(error)
      return
    }
    await settleJoined(this.group, this.tools, signal)
    if (answers) await expel(this.group, leaver, this.tools, signal)
    await this.underWay.update((now) => ({ ...now, stage: 'clear' }))
  }

  async clear(): Promise<void> {
    await settleLeft(this.group, this.underWay.now.leaver, this.tools, this.underWay.signal)
  }

  /** Nobody chooses for a person; what happens by itself never puts two nodes of a group on one machine for one that is gone. */
  #seat(): Seat {
    const { leaver, by } = this.underWay.now
    const machine = this.group.nodeAt(leaver)?.spec.machine
    return { insteadOf: leaver, apart: by === 'itself' && machine !== undefined && !this.tools.fleet.hears(machine) }
  }

  #hasJoined(joiner: number): boolean {
    return this.group.record?.members.some(({ index }) => index === joiner) ?? false
  }

  async #another(error: unknown): Promise<void> {
    if (!(error instanceof JoinerLost)) throw error
    this.tools.doing(`another node is made: ${error.message}`)
    await this.#takeJoinerAway()
  }

  async #takeJoinerAway(): Promise<void> {
    await takeJoinerAway(this.group, this.tools, this.underWay.signal)
    await this.underWay.update((now) => ({ ...now, joiner: 0 }))
  }
}
