import { invalidArgument } from '../../errors/index.js'
import type { Telemetry } from '../../telemetry/index.js'
import type { DrainOrder, DrainResponse } from '../../wire/control.js'
import { nodeName } from '../data-directory.js'
import { refused } from '../faults.js'
import type { Fleet } from '../fleet.js'
import type { DrainedRecord } from '../registry.js'
import { type Drains, type DrainTarget, isDrained, isMeant, type Known, knownNodes, withDrain } from './drains.js'
import type { Leaders } from './leaders.js'

export interface DrainDeps {
  readonly fleet: Fleet
  readonly drains: Drains
  readonly leaders: Leaders
  readonly telemetry: Telemetry
}

/** Has a node or a machine lead nothing, or lead again. Asked again, it says what is left to be moved. */
export async function drain(
  { node, machine, undo, dryRun }: DrainOrder,
  deps: DrainDeps,
  signal: AbortSignal,
): Promise<DrainResponse> {
  const { fleet, drains, leaders, telemetry } = deps
  if ((node === '') === (machine === ''))
    throw invalidArgument('a node is drained, or a machine: one of them is to be named')
  const target: DrainTarget = machine === '' ? { node } : { machine }
  const next = (record: DrainedRecord): DrainedRecord => {
    const all = knownNodes(fleet.all)
    expectKnown(target, all, record)
    const changed = withDrain(record, target, undo, all)
    if (changed !== record && !undo) expectLeaders(fleet, changed)
    if (undo) expectFree(target, all, changed)
    return changed
  }
  const before = drains.now
  const goal = next(before)
  // A node that was drained by itself stays so when its machine comes back.
  const meant = knownNodes(fleet.all).filter((known) => isMeant(target, known) && isDrained(goal, known) !== undo)
  const names = meant.map(({ name }) => name)
  if (!dryRun) {
    await drains.change(next)
    await fleet.recorded(signal)
    leaders.hurry()
    if (drains.now !== before) telemetry.emit(undo ? 'nodes.undrained' : 'nodes.drained', { nodes: names })
  }
  const moves = undo ? await comingBack(deps, goal, signal) : await going(target, deps, goal, signal)
  return { nodes: names, moves }
}

/** Every leader that has to go, and where; also those that nobody can lead instead now. */
async function going(target: DrainTarget, { fleet, leaders }: DrainDeps, goal: DrainedRecord, signal: AbortSignal) {
  const plan = await leaders.plan(signal, goal)
  const all = knownNodes(fleet.all)
  const leading = fleet.all.flatMap(({ shard, leader }) => {
    const known = all.find(({ name }) => name === leader?.name)
    return known !== undefined && isMeant(target, known) ? [{ shard, from: known.name }] : []
  })
  return Promise.all(
    leading.map(async ({ shard, from }) => {
      const to = plan.find((one) => one.shard === shard)?.to
      if (to !== undefined) return { shard, from, to: nodeName({ shard, index: to.index }), detail: '' }
      return { shard, from, to: '', detail: await leaders.obstacleOf(shard, signal) }
    }),
  )
}

/** What spreading would move by and by, if nothing else changed. */
async function comingBack({ leaders }: DrainDeps, goal: DrainedRecord, signal: AbortSignal) {
  const named = (shard: number, { index }: { readonly index: number }) => nodeName({ shard, index })
  const plan = await leaders.plan(signal, goal)
  return plan.map(({ shard, from, to }) => ({ shard, from: named(shard, from), to: named(shard, to), detail: '' }))
}

function expectKnown(target: DrainTarget, all: readonly Known[], { machines }: DrainedRecord): void {
  const meant = all.filter((known) => isMeant(target, known))
  if (target.machine !== undefined) {
    if (meant.length > 0 || machines.includes(target.machine)) return
    const names = [...new Set(all.map(({ machine }) => machine))].sort().join(', ')
    throw invalidArgument(`no node is on a machine ${JSON.stringify(target.machine)}, but on ${names}`)
  }
  const [node] = meant
  if (node === undefined)
    throw invalidArgument(`there is no node ${JSON.stringify(target.node)}; kvorum status lists them`)
  if (node.id === '') throw refused(`${node.name} has not told yet who it is: ask again when it is up`)
}

/** Whoever asks for a node to lead again must not be told that it may while its machine may not. */
function expectFree(target: DrainTarget, all: readonly Known[], { machines }: DrainedRecord): void {
  const still = all.find((known) => isMeant(target, known) && machines.includes(known.machine))
  if (still === undefined) return
  const { name, machine } = still
  throw refused(`${name} is drained with its machine: kvorum node undrain --machine ${machine}`)
}

/** A person who forgets what was drained before must not be left with leaders that nobody wants to have. */
function expectLeaders(fleet: Fleet, drained: DrainedRecord): void {
  const alone = fleet.all.find((group) => {
    const known = knownNodes([group]).filter(({ place }) => group.voters.some(({ spec }) => spec.index === place.index))
    return known.every((one) => isDrained(drained, one))
  })
  if (alone === undefined) return
  throw refused(
    `${alone.name} would have nobody left who may lead it: undrain another of its nodes first, or kvorum node replace one`,
  )
}
