// Fresh keys, on any shard or on the one that a test is about to break.
import { type ClusterMap, shardOf } from '../../orchestrator/core/topology.js'

/** Keys that were never given before by this generator, all owned by `shard`. */
export function keysOn(map: ClusterMap, shard: number, prefix: string): () => string {
  let next = 0
  return () => {
    for (;;) {
      const key = `${prefix}-${next++}`
      if (shardOf(map, Buffer.from(key)) === shard) return key
    }
  }
}

/** For a workload: writer `index` stays on one shard, and the writers are spread evenly over all of them. */
export function keysEverywhere(map: ClusterMap, prefix: string): (index: number) => string {
  const generators = map.shards.map(({ id }) => keysOn(map, id, `${prefix}-s${id}`))
  return (index) => {
    const generator = generators[index % generators.length]
    if (generator === undefined) throw new TypeError('a map without shards')
    return generator()
  }
}
