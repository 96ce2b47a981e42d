import { type DataDirectory, type NodePlace, nodeName } from './data-directory.js'
import type { Driver } from './drivers/driver.js'
import { OutOfReach } from './faults.js'
import { type GroupRecord, isSpent } from './membership.js'
import { specOf } from './plan.js'
import type { NodeRecord, Registry } from './registry.js'

export interface LeftoverDeps {
  readonly registry: Registry
  readonly directory: DataDirectory
  readonly driver: Driver
  readonly clusterId: string
}

/**
 * Ends and removes what is left of groups above `last`, which no map has any more, and of nodes that their groups do not know
 * any more: processes, directories, and then what the registry knows of them. In this order, so that whatever is left can be
 * found again; and a directory's name is free for other nodes only when nothing lies there. Gives those that stay because
 * their machines do not answer: nobody waits for them, and their names are not used until they are gone.
 */
export async function removeLeftovers(last: number, deps: LeftoverDeps): Promise<readonly NodeRecord[]> {
  const { registry } = deps
  // Groups first: a node that joins meanwhile has an index that is above all of theirs.
  const groups = new Map((await registry.groups()).map((record) => [record.shard, record]))
  const nodes = await registry.nodes()
  const over = nodes.filter(({ shard }) => shard > last)
  const strays = nodes.filter((node) => node.shard <= last && isStray(node, groups.get(node.shard)))
  const stay = await removeAll([...over, ...strays], deps)
  const isGone = (node: NodeRecord) => !stay.includes(node)
  // Before their groups are forgotten: the next of the name counts its nodes from above them.
  const fresh = stay.filter((node) => over.includes(node) && node.left !== true)
  if (fresh.length > 0) await registry.setNodes(fresh.map((node) => ({ ...node, left: true })))
  for (const shard of new Set([...over.filter(isGone).map((node) => node.shard), ...above(last, groups)])) {
    await registry.forgetGroup(shard)
  }
  for (const node of over.filter((one) => isGone(one) && one.left === true)) await registry.forgetNode(node)
  for (const node of strays.filter(isGone)) await registry.forgetNode(node)
  // The new nodes of their group count from above them until it is known who these are.
  const needed = nodes.filter(({ shard, left }) => left === true && shard <= last && !groups.has(shard))
  return [...stay, ...needed]
}

/** The same for one node, which is no member of its group any more. Gives it when its machine does not answer. */
export async function removeLeaver(place: NodePlace, deps: LeftoverDeps): Promise<NodeRecord | undefined> {
  const record = (await deps.registry.nodes()).find((one) => nodeName(one) === nodeName(place))
  if (record === undefined) return undefined
  const [stays] = await removeAll([record], deps)
  if (stays === undefined) await deps.registry.forgetNode(place)
  return stays
}

/** Whether the registry knows it and its group does not. One that leaves just now is an operation's. */
function isStray({ index }: NodePlace, group: GroupRecord | undefined): boolean {
  return group !== undefined && group.leaving !== index && isSpent(group, index)
}

function above(last: number, groups: ReadonlyMap<number, GroupRecord>): number[] {
  return [...groups.keys()].filter((shard) => shard > last)
}

/** Goes on with the others when one cannot be reached. Gives those. */
async function removeAll(records: readonly NodeRecord[], deps: LeftoverDeps): Promise<NodeRecord[]> {
  const results = await Promise.allSettled(records.map((record) => removeNode(record, deps)))
  const faults = results.map((result) => (result.status === 'rejected' ? (result.reason as Error) : undefined))
  const grave = faults.find((fault) => fault !== undefined && !(fault instanceof OutOfReach))
  if (grave !== undefined) throw grave
  return records.filter((_, at) => faults[at] !== undefined)
}

async function removeNode(record: NodeRecord, deps: LeftoverDeps): Promise<void> {
  const { driver } = deps
  const spec = specOf(record, deps, 1)
  const process = await driver.find(spec, record)
  const doubt = process?.doubt?.()
  if (doubt !== undefined) {
    process?.forget()
    throw new OutOfReach(`${spec.name}: ${doubt}`)
  }
  // By force: what it holds is nobody's any more.
  process?.signal('SIGKILL')
  await process?.exited
  await driver.remove(spec)
}
