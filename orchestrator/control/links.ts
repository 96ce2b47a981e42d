import { type Clock, systemClock } from '../core/clock.js'
import { KvUnary } from '../wire/kv-unary.js'
import { NodeAdmin } from '../wire/node-admin.js'
import type { PeerIdentity } from '../wire/peer.js'

/** What control asks of a node. */
export type NodeLink = Pick<
  NodeAdmin,
  | 'status'
  | 'watch'
  | 'bootstrap'
  | 'setPeers'
  | 'campaign'
  | 'transferLeadership'
  | 'raiseFormat'
  | 'addNonVoter'
  | 'promote'
  | 'removeMember'
  | 'assignPartitions'
  | 'importPartitions'
  | 'move'
  | 'partitions'
  | 'close'
>

/** What control reads and writes in meta. */
export type KvLink = Pick<KvUnary, 'get' | 'put' | 'delete' | 'close'>

/** How nodes are reached: a node that is not the peer refuses. Whoever opens a link closes it. */
export interface Links {
  readonly node: (address: string, peer: PeerIdentity) => NodeLink
  readonly kv: (address: string, peer: PeerIdentity) => KvLink
}

/** By gRPC. */
export function wireLinks(clock: Clock = systemClock): Links {
  return {
    node: (address, peer) => new NodeAdmin(address, clock, peer),
    kv: (address, peer) => new KvUnary(address, clock, peer),
  }
}
