import { type NodeStatus, Role } from './node-admin.js'

/** Who leads of a shard's nodes. One that was cut off may not know yet that it does not any more: the newest term tells. */
export function newestLeader<Node extends { readonly status?: NodeStatus | undefined }>(
  nodes: Iterable<Node>,
): Node | undefined {
  let newest: Node | undefined
  for (const node of nodes) {
    if (node.status?.role !== Role.LEADER) continue
    if (newest === undefined || node.status.term > (newest.status?.term ?? 0n)) newest = node
  }
  return newest
}
