import { type DataDirectory, type NodePlace, nodeName } from './data-directory.js'
import type { Driver } from './drivers/driver.js'
import { isSpent } from './membership.js'
import { specOf } from './plan.js'
import type { NodeRecord, Registry } from './registry.js'

export interface LeftoverDeps {
  readonly registry: Registry
  readonly directory: DataDirectory
  readonly driver: Driver
  readonly clusterId: string
}

/**
 * Ends and removes what is left of groups above `last`, which no map has any more: processes, directories, and then what the
 * registry knows of them. In this order, so that whatever is left can be found again; and a directory's name is free for
 * other nodes only when nothing lies there.
 */
export async function removeLeftovers(last: number, deps: LeftoverDeps): Promise<void> {
  const left = (await deps.registry.nodes()).filter(({ shard }) => shard > last)
  await Promise.all(left.map((record) => removeNode(record, deps)))
  for (const shard of new Set(left.map((record) => record.shard))) await deps.registry.forgetGroup(shard)
}

/** Ends and removes what is left of one node, which is no member of its group any more. Again, if it was cut off. */
export async function removeLeaver(place: NodePlace, deps: LeftoverDeps): Promise<void> {
  const record = (await deps.registry.nodes()).find((one) => nodeName(one) === nodeName(place))
  if (record === undefined) return
  await removeNode(record, deps)
  await deps.registry.forgetNode(place)
}

/** The same for those that could not be reached when they went: the registry knows them, and their group does not. */
export async function removeStrays(last: number, deps: LeftoverDeps): Promise<void> {
  const groups = new Map((await deps.registry.groups()).map((record) => [record.shard, record]))
  for (const { shard, index } of await deps.registry.nodes()) {
    const record = shard > last ? undefined : groups.get(shard)
    if (record === undefined || record.leaving === index || !isSpent(record, index)) continue
    await removeLeaver({ shard, index }, deps)
  }
}

async function removeNode(record: NodeRecord, deps: LeftoverDeps): Promise<void> {
  const { driver } = deps
  const spec = specOf(record, deps, 1)
  const process = await driver.find(spec, record)
  // By force: what it holds is nobody's any more.
  process?.signal('SIGKILL')
  await process?.exited
  await driver.remove(spec)
}
