// Roles become nodes: whom a plan means, at the moment in which its fault begins.
import { relative } from 'node:path'
import { nodeName } from '../../../orchestrator/control/data-directory.js'
import type { Cluster } from '../../harness/cluster.js'
import type { NodeView } from '../../harness/status.js'
import type { Scene, Target } from './fault.js'

export interface Place {
  readonly shard: number
  /** From 1. */
  readonly index: number
  /** As its directory, and as the proxy calls it: "shard-1/node-2". */
  readonly name: string
  readonly directory: string
  /** "shard-1/node-2, which leads" */
  readonly words: string
}

function placeAt(cluster: Cluster, shard: number, index: number, words = ''): Place {
  const name = nodeName({ shard, index })
  return { shard, index, name, directory: `${cluster.data}/${name}`, words: `${name}${words}` }
}

/** The nodes of one shard, from 1 to the number of replicas. */
export function placesIn(scene: Scene, shard: number): Place[] {
  return Array.from({ length: scene.replicas }, (_, at) => placeAt(scene.cluster, shard, at + 1))
}

/** Throws for a target that is no node or shard. */
export async function placesOf(scene: Scene, target: Target): Promise<Place[]> {
  const { cluster } = scene
  switch (target.of) {
    case 'node':
      return [placeAt(cluster, target.shard, target.index)]
    case 'leader':
      return [whereIs(cluster, await scene.leaderOf(target.shard), ', which leads')]
    case 'follower': {
      const leader = await scene.leaderOf(target.shard)
      const follower = (await scene.nodesOf(target.shard)).find(({ id }) => id !== leader.id)
      if (follower === undefined) throw new Error(`shard ${target.shard} has no follower that answers`)
      return [whereIs(cluster, follower, ', which follows')]
    }
    case 'shard':
      return placesIn(scene, target.shard)
    case 'nodes':
      return [0, ...scene.shards].flatMap((shard) => placesIn(scene, shard))
    default:
      throw new TypeError(`${target.of} is not made of nodes alone`)
  }
}

function whereIs(cluster: Cluster, node: NodeView, words: string): Place {
  const found = /node-(\d+)$/.exec(relative(cluster.data, node.directory))
  if (found === null) throw new TypeError(`${node.directory} is no node's directory`)
  return placeAt(cluster, node.shard, Number(found[1]), words)
}

/** The data shards whose service may suffer. */
export function shardsOf(scene: Scene, places: readonly Place[]): number[] {
  const hit = new Set(places.map(({ shard }) => shard))
  // Meta serves no keys.
  return scene.shards.filter((shard) => hit.has(shard))
}
