import { nodeName } from './data-directory.js'
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
