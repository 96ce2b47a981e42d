// The cluster as faults and people see it: by asking the nodes themselves, because the gateway may be what is broken.
import { join } from 'node:path'
import { type ClusterMap, supersedes } from '../../orchestrator/core/topology.js'
import { Condition, ControlClient, type GroupReport } from '../../orchestrator/wire/control.js'
import { KvUnary } from '../../orchestrator/wire/kv-unary.js'
import { Role } from '../../orchestrator/wire/node-admin.js'
import type { Cluster } from '../harness/cluster.js'
import { lookAt, type NodeView } from '../harness/status.js'
import { until } from '../harness/wait.js'
import type { NodeProcess, Scene } from './faults/fault.js'

const MAP_MS_MAX = 500
const LEADER_MS_MAX = 8_000
const STATUS_MS_MAX = 2_000

export class LiveScene implements Scene {
  #map: ClusterMap

  constructor(
    readonly cluster: Cluster,
    map: ClusterMap,
    readonly replicas: number,
    readonly signal: AbortSignal,
  ) {
    this.#map = map
  }

  /** As it was known last. */
  get map(): ClusterMap {
    return this.#map
  }

  get shards(): readonly number[] {
    return this.#map.shards.map(({ id }) => id)
  }

  async nodesOf(shard: number): Promise<NodeView[]> {
    await this.refresh()
    return lookAt(shard, this.#map.shards.find(({ id }) => id === shard)?.nodes ?? [])
  }

  async leaderOf(shard: number): Promise<NodeView> {
    const found = await until(
      `a leader of shard ${shard}`,
      async () => {
        // An error would count as "not yet".
        if (this.signal.aborted) return 'over'
        const leaders = (await this.nodesOf(shard)).filter(({ ready }) => ready)
        return leaders.sort((a, b) => Number(b.term - a.term))[0]
      },
      LEADER_MS_MAX,
    )
    if (found === 'over') throw new Error('the run is over')
    return found
  }

  processesOf(shard: number): NodeProcess[] {
    const group = shard === 0 ? 'meta' : `shard-${shard}`
    const running = this.cluster.nodeProcesses()
    return Array.from({ length: this.replicas }, (_, at) => `${group}/node-${at + 1}`).flatMap((name) => {
      const directory = join(this.cluster.data, name)
      const found = running.find(({ command }) => command.split(' ').includes(directory))
      return found === undefined ? [] : [{ pid: found.pid, name }]
    })
  }

  /** Takes a newer map where a gateway gives one at once. */
  async refresh(): Promise<void> {
    const kv = new KvUnary(this.cluster.address)
    try {
      for await (const map of kv.clusterMap(AbortSignal.timeout(MAP_MS_MAX))) {
        if (supersedes(map, this.#map)) this.#map = map
        return
      }
    } catch {
      // The one that is known has to do.
    } finally {
      kv.close()
    }
  }

  /** What is missing for every node of every group, meta's too, to be up and led; undefined when nothing is. */
  async missing(): Promise<string | undefined> {
    const control = new ControlClient(this.cluster.address)
    try {
      const { groups } = await control.status({ deadlineMs: STATUS_MS_MAX })
      const faults = groups.flatMap(faultsOf)
      return faults.length === 0 ? undefined : faults.join('; ')
    } catch (error) {
      return String(error)
    } finally {
      control.close()
    }
  }
}

function faultsOf({ shard, nodes }: GroupReport): string[] {
  const group = shard === 0 ? 'meta' : `shard ${shard}`
  const down = nodes.filter(({ condition }) => condition !== Condition.UP)
  const led = nodes.some(({ condition, status }) => condition === Condition.UP && status?.role === Role.LEADER)
  return [...down.map(({ name, reason }) => `${name} is not up: ${reason}`), ...(led ? [] : [`${group} has no leader`])]
}
