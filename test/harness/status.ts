// What the cluster says of itself: the map from the gateway, and the status of every node in it, asked directly.
// (`kvorum status --json` says the same to people and scripts; test/start checks it. Here it would be a process per look.)
import type { ClusterMap, NodeInfo } from '../../orchestrator/core/topology.js'
import { KvUnary } from '../../orchestrator/wire/kv-unary.js'
import { NodeAdmin, Role, State } from '../../orchestrator/wire/node-admin.js'

export interface NodeView {
  readonly id: string
  readonly address: string
  readonly shard: number
  readonly pid: number
  readonly term: bigint
  readonly applied: bigint
  readonly leads: boolean
  /** It leads and has applied a command of its term. */
  readonly ready: boolean
  readonly serving: boolean
  readonly directory: string
  /** The end of its Raft log. */
  readonly last: bigint
}

const LOOK_MS_MAX = 1_000

export async function readMap(gateway: string): Promise<ClusterMap> {
  const kv = new KvUnary(gateway)
  const stop = new AbortController()
  try {
    for await (const map of kv.clusterMap(stop.signal)) return map
    throw new Error('the gateway ended the stream without a map')
  } finally {
    stop.abort()
    kv.close()
  }
}

/** The nodes that answer; one that is down or paused is left out. */
export async function lookAt(shard: number, nodes: readonly NodeInfo[]): Promise<NodeView[]> {
  const views = await Promise.all(nodes.map((node) => lookAtNode(shard, node)))
  return views.flat()
}

async function lookAtNode(shard: number, { id, address }: NodeInfo): Promise<NodeView[]> {
  const admin = new NodeAdmin(address)
  try {
    const status = await admin.status({ deadlineMs: LOOK_MS_MAX })
    const { pid, term, appliedIndex: applied, lastLogIndex: last, dataDir: directory, role, state, ready } = status
    const leads = role === Role.LEADER
    const serving = state === State.SERVING
    return [{ id, address, shard, pid, term, applied, last, directory, leads, ready, serving }]
  } catch {
    return []
  } finally {
    admin.close()
  }
}

/** Asks the leader to give its leadership to another node. That may fail: the other node may be behind. */
export async function handOver(leader: NodeView, to: NodeView): Promise<void> {
  const admin = new NodeAdmin(leader.address)
  try {
    await admin.transferLeadership(to.id)
  } finally {
    admin.close()
  }
}
