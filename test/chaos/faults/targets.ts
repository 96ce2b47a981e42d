// What kinds share when they choose whom to strike.
import type { Scene, Shape, Target } from './fault.js'
import type { Random } from './random.js'

export function anyShard({ shards }: Shape, random: Random): number {
  return random.between(1, shards)
}

export function aNode(shard: number, { replicas }: Shape, random: Random): Target {
  return { of: 'node', shard, index: random.between(1, replicas) }
}

/** Which of several, for a plan that does not say; counted around. */
export function whichOne({ replicas }: Shape, random: Random): { readonly which: number } {
  return { which: random.between(0, Math.max(0, replicas - 2)) }
}

/** The data shards whose service may suffer. */
export function shardsOf(scene: Scene, target: Target): readonly number[] {
  if (!('shard' in target)) return scene.shards
  return target.shard === 0 ? [] : [target.shard]
}
