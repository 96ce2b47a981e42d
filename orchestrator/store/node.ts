import type { NodeInfo } from '../core/topology.js'
import { Lane, type LaneChange, type LaneOptions } from '../wire/lane.js'
import type { LaneRequest } from '../wire/lane-request.js'
import type { PeerIdentity } from '../wire/peer.js'

/** One replica of a shard at one address, with the lane to it. A new address is a new Node. */
export class Node {
  readonly id: string
  readonly address: string
  readonly lane: Lane

  constructor(
    info: NodeInfo,
    /** Undefined: whoever listens there will do. */
    peer: PeerIdentity | undefined,
    options: Omit<LaneOptions, 'peer' | 'onChange'>,
    onChange: (node: Node, change: LaneChange) => void,
  ) {
    this.id = info.id
    this.address = info.address
    this.lane = new Lane(info.address, { ...options, peer, onChange: (change) => onChange(this, change) })
  }

  send(request: LaneRequest): void {
    this.lane.send(request)
  }
}
