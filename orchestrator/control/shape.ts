import type { DataDirectory } from './data-directory.js'
import { StartFault } from './faults.js'
import type { FirstStart } from './first-start.js'
import type { ClusterRecord } from './registry.js'

/** How many shards of how many nodes a cluster has. Operations change both. */
export interface Shape {
  readonly shards: number
  readonly replicas: number
}

const DEFAULT_SHAPE: Shape = { shards: 3, replicas: 3 }

/**
 * The shape to start with: what was asked for while nothing is bootstrapped, and what the data has from then on. Throws a
 * StartFault when something else was asked for.
 */
export function shapeFor(
  directory: DataDirectory,
  has: ClusterRecord | undefined,
  asked: Partial<Shape>,
  firstStart: FirstStart,
): Shape {
  const wanted = { ...DEFAULT_SHAPE, ...(has === undefined ? {} : shapeOf(has)), ...onlyGiven(asked) }
  if (has === undefined || firstStart === 'planned' || isShapeOf(has, wanted)) return wanted
  throw new StartFault(
    `the data directory ${directory.given} holds ${has.shards} shards x ${has.replicas} replicas, not ` +
      `${wanted.shards} x ${wanted.replicas}: start it with --shards ${has.shards} --replicas ${has.replicas}, ` +
      `or choose another --data; ${hintFor(directory, has, wanted, firstStart)}`,
  )
}

function hintFor({ given }: DataDirectory, has: Shape, { shards }: Shape, firstStart: FirstStart): string {
  if (firstStart === 'begun') {
    return `or remove ${given} (and the --data of its agents, if it has any): its first start never came to its end, so nobody has stored anything in it`
  }
  if (shards === has.shards) return 'while it runs, kvorum scale --replicas changes the number of replicas'
  return `while it runs, kvorum scale --shards ${shards} changes the number of shards`
}

/** Whether a record needs no other numbers to be of this shape. */
export function isShapeOf(has: Shape, { shards, replicas }: Shape): boolean {
  return has.shards === shards && has.replicas === replicas
}

function shapeOf({ shards, replicas }: Shape): Shape {
  return { shards, replicas }
}

function onlyGiven(wanted: Partial<Shape>): Partial<Shape> {
  return Object.fromEntries(Object.entries(wanted).filter(([, value]) => value !== undefined))
}

/** How many nodes there are, meta's included. Meta has as many as a shard: it must survive as much. */
export function nodesOf({ shards, replicas }: Shape): number {
  return (shards + 1) * replicas
}
