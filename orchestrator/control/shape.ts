import type { DataDirectory } from './data-directory.js'
import { StartFault } from './faults.js'
import type { ClusterRecord } from './registry.js'

/** How many shards of how many nodes a cluster has. Operations change both. */
export interface Shape {
  readonly shards: number
  readonly replicas: number
}

const DEFAULT_SHAPE: Shape = { shards: 3, replicas: 3 }

/** The shape to start with: what the data has, unless something else was asked for. Throws a StartFault then. */
export function shapeFor(directory: DataDirectory, has: ClusterRecord | undefined, asked: Partial<Shape>): Shape {
  const wanted = { shards: asked.shards ?? has?.shards, replicas: asked.replicas ?? has?.replicas }
  if (has === undefined) return { ...DEFAULT_SHAPE, ...onlyGiven(wanted) }
  if (wanted.shards === has.shards && wanted.replicas === has.replicas) return has
  throw new StartFault(
    `the data directory ${directory.given} holds ${has.shards} shards x ${has.replicas} replicas, not ` +
      `${wanted.shards} x ${wanted.replicas}: start it with --shards ${has.shards} --replicas ${has.replicas}, ` +
      `or choose another --data${hintFor(has, wanted.shards)}`,
  )
}

function hintFor(has: Shape, shards: number | undefined): string {
  if (shards === has.shards) return `; while it runs, kvorum scale --replicas changes the number of replicas`
  return `; while it runs, kvorum scale --shards ${shards} changes the number of shards`
}

function onlyGiven(wanted: Partial<Shape>): Partial<Shape> {
  return Object.fromEntries(Object.entries(wanted).filter(([, value]) => value !== undefined))
}

/** How many nodes there are, meta's included. Meta has as many as a shard: it must survive as much. */
export function nodesOf({ shards, replicas }: Shape): number {
  return (shards + 1) * replicas
}
