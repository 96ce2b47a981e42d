import type { ClusterMap } from '../core/topology.js'
import { Condition, emptyStatus, type GroupReport, type NodeReport } from '../wire/control.js'
import type { Driver } from './drivers/driver.js'
import type { Group } from './group.js'
import type { Leaders } from './leaders/leaders.js'
import type { Supervisor } from './supervisor.js'

/** How long a node may take to tell its status before it counts as silent. */
const ASK_MS = 500

const CONDITIONS = {
  up: Condition.UP,
  silent: Condition.SILENT,
  down: Condition.DOWN,
  stopped: Condition.DOWN,
  left: Condition.SILENT,
  held: Condition.HELD,
} as const

/** What is told of nodes that they do not know themselves. */
export interface Surroundings {
  readonly map: ClusterMap
  readonly driver: Pick<Driver, 'zoneOf'>
  /** Why a node is to lead nothing. */
  readonly unfit: Leaders['unfit']
}

/** Every node as it is now: asked, not remembered. */
export function reportOf(groups: readonly Group[], { map, driver, unfit }: Surroundings): Promise<GroupReport[]> {
  return Promise.all(
    groups.map(async (group) => ({
      shard: group.shard,
      nodes: await Promise.all(
        group.nodes.map(async (node) => {
          const why = unfit(group, node)
          const marks = { drained: why === 'drained', slow: why === 'slow' }
          return { ...(await reportOn(node, group.idOf(node.spec.index) ?? '', driver)), ...marks }
        }),
      ),
      partitions: partitionsOf(group.shard, map),
    })),
  )
}

export function partitionsOf(shard: number, { owners }: ClusterMap): number {
  return owners.filter((owner) => owner === shard).length
}

async function reportOn(
  node: Supervisor,
  id: string,
  driver: Pick<Driver, 'zoneOf'>,
): Promise<Omit<NodeReport, 'drained' | 'slow'>> {
  const { name, spec } = node
  const { machine } = spec
  const where = { machine, zone: driver.zoneOf === undefined ? machine : (driver.zoneOf(machine) ?? '') }
  try {
    const status = await node.admin?.status({ deadlineMs: ASK_MS })
    if (status !== undefined) return { name, condition: Condition.UP, reason: '', status, ...where }
  } catch {
    // It has just gone, or it is paused.
  }
  const condition = node.condition === 'up' ? 'silent' : node.condition
  return {
    name,
    condition: CONDITIONS[condition],
    reason: node.condition === 'up' ? 'it does not answer' : node.reason,
    status: { ...emptyStatus(), nodeId: id, address: node.address, pid: node.pid ?? 0, shard: spec.shard },
    ...where,
  }
}
