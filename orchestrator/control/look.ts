import type { ClusterMap, NodeInfo } from '../core/topology.js'
import { Condition, emptyStatus, type GroupReport, type NodeReport } from '../wire/control.js'
import { groupName } from './data-directory.js'
import type { Links } from './links.js'
import { partitionsOf } from './report.js'

const ASK_MS = 500
const META = 0
/** Only who runs them knows. */
const NOTHING_KNOWN = { machine: '', zone: '', drained: false, slow: false }

/** Every node as it says itself, for when nobody can be asked who runs them. */
export function lookAtNodes(map: ClusterMap, meta: readonly NodeInfo[], links: Links): Promise<GroupReport[]> {
  return Promise.all(
    [{ id: META, nodes: meta }, ...map.shards].map(async ({ id: shard, nodes }) => ({
      shard,
      nodes: await Promise.all(nodes.map((node) => lookAt(node, shard, map.clusterId, links))),
      partitions: partitionsOf(shard, map),
    })),
  )
}

async function lookAt({ id, address }: NodeInfo, shard: number, cluster: string, links: Links): Promise<NodeReport> {
  const link = links.node(address, { cluster, shard, node: id })
  try {
    const status = await link.status({ deadlineMs: ASK_MS })
    const name = status.dataDir.split('/').slice(-2).join('/')
    return { name, condition: Condition.UP, reason: '', status, ...NOTHING_KNOWN }
  } catch {
    const status = { ...emptyStatus(), nodeId: id, address, shard }
    const reason = 'it does not answer, and nobody is known who runs it'
    return { name: `${groupName(shard)}/${id}`, condition: Condition.SILENT, reason, status, ...NOTHING_KNOWN }
  } finally {
    link.close()
  }
}
