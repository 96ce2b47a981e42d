import { Condition, emptyStatus, type GroupReport, type NodeReport } from '../wire/control.js'
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

/** Every node as it is now: asked, not remembered. `unfit` says why it is to lead nothing. */
export function reportOf(groups: readonly Group[], unfit: Leaders['unfit']): Promise<GroupReport[]> {
  return Promise.all(
    groups.map(async (group) => ({
      shard: group.shard,
      nodes: await Promise.all(
        group.nodes.map(async (node) => {
          const why = unfit(group, node)
          const marks = { drained: why === 'drained', slow: why === 'slow' }
          return { ...(await reportOn(node, group.idOf(node.spec.index) ?? '')), ...marks }
        }),
      ),
    })),
  )
}

async function reportOn(node: Supervisor, id: string): Promise<Omit<NodeReport, 'drained' | 'slow'>> {
  const { name } = node
  try {
    const status = await node.admin?.status({ deadlineMs: ASK_MS })
    if (status !== undefined) return { name, condition: Condition.UP, reason: '', status }
  } catch {
    // It has just gone, or it is paused.
  }
  const condition = node.condition === 'up' ? 'silent' : node.condition
  return {
    name,
    condition: CONDITIONS[condition],
    reason: node.condition === 'up' ? 'it does not answer' : node.reason,
    status: { ...emptyStatus(), nodeId: id, address: node.address, pid: node.pid ?? 0, shard: node.spec.shard },
  }
}
