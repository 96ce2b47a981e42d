import { invalidArgument } from '../../errors/index.js'
import { nodeName } from '../data-directory.js'
import { refused } from '../faults.js'
import type { Group } from '../group.js'
import { ELSEWHERE } from '../machines.js'
import type { Taken } from '../programs.js'
import type { Manner, Supervisor } from '../supervisor.js'
import { askLeader } from './ask.js'
import { formatsOf } from './formats.js'
import { goneOf } from './gone.js'
import type { Kind, OperationParts, OperationTools, Wish } from './kind.js'
import { isOver } from './record-fields.js'
import { NodeSkipped, rollNode } from './roll-node.js'
import { type RollingRecord, type RollingStep, skippedIn, turnedBack, WHY_MAX, withStep } from './rolling-record.js'
import { UnderWay } from './under-way.js'

/** Ends nodes and starts them again, one after the other, with another program when it is an upgrade. */
export const rolling: Kind<RollingRecord> = {
  describe,
  steps: (record) =>
    record.nodes.map((step) => {
      return { what: `restart ${nodeName(step)}`, state: step.state, detail: step.why ?? step.program ?? '' }
    }),
  trouble: (record) => (isOver(record) ? leftUndone(record) : record.trouble),
  cancelled: expectNotRaising,
  run,
}

/** That every node, or the one of this name, be started anew. */
export function wishForRestart(name: string | undefined): Wish {
  return {
    isMetBy: (open) =>
      open.kind === 'rolling' && open.program === undefined && open.state === 'running' && open.node === name,
    plan: (parts) => ({ ...planned(parts, (node) => name === undefined || node.name === name), node: name }),
    expectPossible: ({ fleet }) => {
      if (fleet.all.some(({ nodes }) => nodes.some(({ spec }) => spec.machine === ELSEWHERE))) {
        throw refused('these nodes are started by somebody else (--driver static): restart them there')
      }
      if (name === undefined || fleet.all.some(({ nodes }) => nodes.some((node) => node.name === name))) return
      const message = `there is no node ${JSON.stringify(name)}; kvorum status lists them`
      throw invalidArgument(message)
    },
  }
}

/** That every node, now and later, be started with a program that was taken in. */
export function wishForProgram({ name, formatMax }: Taken): Wish {
  return {
    isMetBy: (open) => open.kind === 'rolling' && open.program === name && open.state === 'running',
    plan: (parts) => planned(parts, ({ manner }) => manner.program !== name, name),
    expectPossible: async ({ programs, fleet }) => {
      const { used } = await formatsOf(fleet.all)
      if (formatMax < used) throw refused(`${name} knows command formats up to ${formatMax}, and ${used} is in use`)
      if (!programs.has(name)) throw refused(`the copy of program ${name} was removed meanwhile: ask again`)
    },
  }
}

function expectNotRaising(now: RollingRecord): RollingRecord {
  if (!now.raising || now.state !== 'running') return { ...now, trouble: '' }
  throw refused(
    `operation ${now.id} has begun to raise shards to a format that the version before does not know: let it end`,
  )
}

function planned(
  { fleet, clock }: OperationParts,
  isMeant: (node: Supervisor) => boolean,
  program?: string,
): RollingRecord {
  const nodes = fleet.all
    .flatMap((group) => group.nodes.filter(isMeant))
    .map((node): RollingStep => {
      const { shard, index } = node.spec
      const before = node.manner.program ?? null
      return { shard, index, state: 'waiting', program: program ?? before, before }
    })
  const isThere = nodes.length === 0 && program !== undefined && fleet.shape.program === program
  const programBefore = fleet.shape.program ?? null
  const fresh = { paused: false, turned: false, raising: false, trouble: '', begunAt: clock.now(), endedAt: 0 }
  const state = isThere ? 'done' : 'running'
  return { format: 1, kind: 'rolling', id: '', state, program, programBefore, ...fresh, nodes }
}

function describe({ program, node }: RollingRecord): string {
  return program === undefined ? `restart ${node ?? 'every node, one after the other'}` : `upgrade to ${program}`
}

/** What it has ended without, for people. */
function leftUndone(record: RollingRecord): string {
  const skipped = skippedIn(record).map(nodeName)
  return skipped.length === 0 ? '' : `not restarted, because of machines that are gone: ${skipped.join(', ')}`
}

async function run(record: RollingRecord, tools: OperationTools, recalled: AbortSignal, signal: AbortSignal) {
  const underWay = new UnderWay(record, tools, recalled, signal)
  const operation = new Rolling(underWay, tools)
  await operation.finishWhatRan()
  if (underWay.isSteered || underWay.isPaused) return
  await operation.turnBackIfCancelled()
  while (!underWay.isSteered && (await operation.rollNext())) {}
  if (underWay.isSteered) return
  await operation.raiseFormat()
  if (underWay.isSteered) return
  await operation.keepProgram()
  await underWay.end()
}

class Rolling {
  constructor(
    private readonly underWay: UnderWay<RollingRecord>,
    private readonly tools: OperationTools,
  ) {}

  /** Whatever becomes of the operation, a node is not left between two programs. */
  async finishWhatRan(): Promise<void> {
    const { now } = this.underWay
    const at = now.nodes.findIndex(({ state }) => state === 'running')
    // What a person has cancelled since leads back by itself.
    if (at >= 0 && (now.state === 'running' || now.turned)) await this.#roll(at)
  }

  async turnBackIfCancelled(): Promise<void> {
    await this.underWay.update((now) => (now.state !== 'cancelling' || now.turned ? now : turnedBack(now)))
  }

  /** Restarts the next node. False when none is left. */
  async rollNext(): Promise<boolean> {
    const at = this.#next()
    if (at === undefined) return false
    // Also what was the trouble before somebody resumed it.
    await this.underWay.updateUnlessSteered((now) => ({ ...withStep(now, at, { state: 'running' }), trouble: '' }))
    if (!this.underWay.isSteered) await this.#roll(at)
    return true
  }

  /** Has every shard use the newest format that all nodes know. Written down first: from then on no node may go back. */
  async raiseFormat(): Promise<void> {
    const { node, state } = this.underWay.now
    if (node !== undefined || state !== 'running') return
    const { fleet, clock } = this.tools
    // Who cannot be asked may know less than the others; the next restart of all raises them.
    if (fleet.all.some((group) => goneOf(group, fleet).length > 0) || skippedIn(this.underWay.now).length > 0) return
    const { known, lowest } = await formatsOf(fleet.all)
    if (known <= lowest) return
    await this.underWay.updateUnlessSteered((now) => ({ ...now, raising: true }))
    if (this.underWay.isSteered) return
    this.tools.doing(`raising every shard to command format ${known}`)
    for (const group of fleet.all)
      await askLeader(group, (admin) => admin.raiseFormat(known), clock, this.underWay.signal)
  }

  /** Nodes that are new are started with it too, from now on; and those that nobody needs are removed. */
  async keepProgram(): Promise<void> {
    const { program, programBefore, state } = this.underWay.now
    const { fleet, programs } = this.tools
    if (program !== undefined) await fleet.useProgram(state === 'running' ? program : (programBefore ?? undefined))
    const used = fleet.all.flatMap(({ nodes }) => nodes.map(({ manner }) => manner.program))
    await programs.keepOnly(new Set([...used, fleet.shape.program]))
  }

  /** One group after the other, meta first; in each the leader last, so that it is handed over once. */
  #next(): number | undefined {
    const { nodes } = this.underWay.now
    const waiting = nodes.flatMap((step, at) => (step.state === 'waiting' ? [at] : []))
    const shard = nodes[waiting[0] ?? -1]?.shard
    const ofGroup = waiting.filter((at) => nodes[at]?.shard === shard)
    return ofGroup.find((at) => this.#partsOf(at).node !== this.#partsOf(at).group.leader) ?? ofGroup[0]
  }

  /** Sees a node through, unless it waits for a machine that is gone. */
  async #roll(at: number): Promise<void> {
    try {
      await this.#seeThrough(at)
    } catch (error) {
      if (!(error instanceof NodeSkipped)) throw error
      const { node } = this.#partsOf(at)
      const why = error.message.slice(0, WHY_MAX)
      this.tools.telemetry.emit('operation.skipped', { node: node.name, reason: why })
      await this.underWay.update((now) => withStep(now, at, { state: 'skipped', why }))
    }
  }

  /** When it does not come up it goes back to what it was, and a person is needed. */
  async #seeThrough(at: number): Promise<void> {
    const { group, node, manner, before } = this.#partsOf(at)
    const trouble = await this.#unlessCancelled((signal) => this.#rollNode(group, node, manner, signal))
    if (trouble === 'cancelled') return
    if (trouble === undefined) {
      await this.underWay.update((now) => withStep(now, at, { state: 'done' }))
      return
    }
    const words = [
      `${node.name} did not come up${manner.program === before.program ? '' : ` with ${manner.program}`}: ${trouble}`,
    ]
    if (manner.program !== before.program) {
      const back = await this.#unlessCancelled((signal) => this.#goBack(group, node, before, signal))
      // Then this very node is taken back with those before it.
      if (back === 'cancelled') return
      words.push(back)
    }
    this.tools.telemetry.emit('operation.stuck', { reason: words.join('; ') })
    await this.underWay.update((now) => ({
      ...withStep(now, at, { state: 'waiting' }),
      trouble: words.join('; '),
      paused: this.underWay.isSteered ? now.paused : true,
    }))
  }

  async #goBack(group: Group, node: Supervisor, before: Manner, signal: AbortSignal): Promise<string> {
    const trouble = await this.#rollNode(group, node, before, signal).catch((error: unknown) => {
      // No reason to go on to the next one with a program that does not run.
      if (error instanceof NodeSkipped) return error.message
      throw error
    })
    if (trouble === undefined) return `it runs with ${before.program ?? 'the program of before'} again`
    return `nor with ${before.program ?? 'the program of before'}: ${trouble}`
  }

  #rollNode(group: Group, node: Supervisor, manner: Manner, signal: AbortSignal): Promise<string | undefined> {
    return rollNode({ ...this.tools, group, node, manner }, signal)
  }

  async #unlessCancelled<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T | 'cancelled'> {
    try {
      return await work(this.underWay.either)
    } catch (error) {
      this.underWay.signal.throwIfAborted()
      if (this.underWay.recalled.aborted) return 'cancelled'
      throw error
    }
  }

  #partsOf(at: number) {
    const { now } = this.underWay
    const step = now.nodes[at]
    const group = this.tools.fleet.all.find(({ shard }) => shard === step?.shard)
    const node = group?.nodes.find(({ spec }) => spec.index === step?.index)
    if (step === undefined || group === undefined || node === undefined) throw new TypeError(`no step ${at}`)
    const [there, back] = [now.id, `${now.id} back`]
    const manner: Manner = { program: step.program ?? undefined, startedFor: now.turned ? back : there }
    const before: Manner = { program: step.before ?? undefined, startedFor: back }
    return { group, node, manner, before }
  }
}
