import { type DataDirectory, nodeName } from './data-directory.js'
import type { Group } from './group.js'
import { type LeftoverDeps, removeLeaver } from './leftovers.js'
import { placesFrom } from './membership.js'
import type { Registry } from './registry.js'
import type { Shape } from './shape.js'

/**
 * How far the first start of a data directory has ever come:
 * - `planned`: what it was to be is written down, and no group has been bootstrapped
 * - `begun`: groups may have been bootstrapped, and nobody has ever been served
 * - `served`: clients may have data in it
 */
export type FirstStart = 'planned' | 'begun' | 'served'

/** Members are written down before their Bootstrap, and the map before a gateway opens. */
export async function firstStartOf(registry: Registry): Promise<FirstStart> {
  if ((await registry.map()) !== undefined) return 'served'
  return (await registry.groups()).length > 0 ? 'begun' : 'planned'
}

/**
 * Ends and removes the nodes that a first start has planned and that this shape does not have; to be called only while nothing is
 * bootstrapped. The others are kept: each has its address, and may run.
 */
export async function removeUnplanned(shape: Shape, deps: LeftoverDeps): Promise<void> {
  const planned = new Set(placesFrom(0, shape, []).map(nodeName))
  const gone = (await deps.registry.nodes()).filter((record) => !planned.has(nodeName(record)))
  await Promise.all(gone.map((record) => removeLeaver(record, deps)))
}

/** What a person can do when a first start waits for machines that do not answer; empty when it does not. */
export function adviceFor(groups: readonly Group[], { given }: DataDirectory): string {
  const silent = groups.flatMap(({ nodes }) => nodes).filter(({ doubt }) => doubt !== undefined)
  const machines = [...new Set(silent.map(({ spec }) => spec.machine))].join(', ')
  if (machines === '') return ''
  const again = `start the agent of ${machines} again, or empty ${given} and the --data of every agent, and start without it`
  return `. This is the first start, and nobody has been served: ${again}`
}
