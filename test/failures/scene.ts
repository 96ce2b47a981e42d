// What every failure test shares: writers and readers on all shards while something breaks, and afterwards a look at
// every write that was acknowledged.
import { expect } from 'vitest'
import { RequestWrapper } from '../../orchestrator/client/index.js'
import type { ClusterMap } from '../../orchestrator/core/topology.js'
import type { Cluster } from '../harness/cluster.js'
import { keysEverywhere, keysOn } from '../harness/keys.js'
import { Probe } from '../harness/probe.js'
import { until } from '../harness/wait.js'
import { Workload } from '../harness/workload.js'

const WRITERS = 6
const READERS = 4
const STEADY_ACKNOWLEDGEMENTS = 25
/** How long a client may have to wait for service in the worst of these tests before the test gives up. */
const SERVICE_MS_MAX = 30_000

let scenes = 0

export class Scene {
  readonly cluster: Cluster
  readonly map: ClusterMap
  readonly client: RequestWrapper
  readonly workload: Workload
  readonly #name: string
  #probes = 0

  constructor(cluster: Cluster, map: ClusterMap, client: RequestWrapper, name: string) {
    this.cluster = cluster
    this.map = map
    this.client = client
    this.#name = name
    this.workload = new Workload({ client, writers: WRITERS, readers: READERS, nextKey: keysEverywhere(map, name) })
  }

  get shards(): readonly number[] {
    return this.map.shards.map((shard) => shard.id)
  }

  /** A probe on one shard that is being answered. */
  async probe(shard: number): Promise<Probe> {
    const probe = new Probe(this.client, keysOn(this.map, shard, `${this.#name}-probe${this.#probes++}`))
    await this.served(probe)
    probe.reset()
    return probe
  }

  /** Waits until the probe is being answered steadily again. */
  async served(probe: Probe): Promise<void> {
    const enough = probe.acknowledged + STEADY_ACKNOWLEDGEMENTS
    await until('writes to be acknowledged', () => probe.acknowledged >= enough, SERVICE_MS_MAX)
  }

  /** Ends the probe, sees that every put that it was promised is there, and gives the longest gap in ms. */
  async gapOf(probe: Probe): Promise<number> {
    const gap = probe.longestMs
    await probe.stop()
    expect(await probe.lost()).toEqual([])
    return gap
  }
}

/** Runs `work` under load on a healthy cluster; then the cluster must be healthy again and have kept its word. */
export async function underLoad(cluster: Cluster, work: (scene: Scene) => Promise<void>): Promise<void> {
  await cluster.settled()
  const client = new RequestWrapper(cluster.address)
  try {
    const scene = new Scene(cluster, await cluster.map(), client, `scene${scenes++}`)
    const { workload } = scene
    try {
      await until('the load to run', () => workload.tally.acknowledged > 100 && workload.tally.reads > 100)
      await work(scene)
    } finally {
      await workload.stop()
    }
    await cluster.settled()
    await workload.verify()
    console.log(workload.summary())
    expect(workload.violations).toEqual([])
  } finally {
    client.close()
  }
}
