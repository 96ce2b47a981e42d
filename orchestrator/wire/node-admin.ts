import type { MethodDefinition } from '@grpc/grpc-js'
import { type Clock, systemClock } from '../core/clock.js'
import type { NodeInfo } from '../core/topology.js'
import { InternalError } from '../errors/index.js'
import { Channel, type Effect } from './channel.js'
import { NodeService, type NodeStatus, type PartitionRange, Role, State } from './gen/node/v1/node.js'
import type { PeerIdentity } from './peer.js'

export { type NodeStatus, type PartitionRange, Role, State }

const DEADLINE_MS = 5000

export interface CallOptions {
  /** Default 5,000. */
  readonly deadlineMs?: number
}

/** What an orchestrator asks of one node (node.v1.Node). Each call has a deadline and rejects with a KvError. */
export class NodeAdmin {
  readonly #channel: Channel

  constructor(
    readonly address: string,
    clock: Clock = systemClock,
    peer?: PeerIdentity,
  ) {
    this.#channel = new Channel(address, clock, peer)
  }

  async status(options?: CallOptions): Promise<NodeStatus> {
    return present((await this.#call(NodeService.status, {}, 'read', options)).status, this.address)
  }

  /** The status now and after each change of role, term, leader or state, until `signal` is aborted. Throws when it breaks. */
  async *watch(signal: AbortSignal): AsyncGenerator<NodeStatus> {
    for await (const { status } of this.#channel.stream(NodeService.watch, {}, signal)) {
      yield present(status, this.address)
    }
  }

  /** Gives a new shard its first members. Done already with the same members: succeeds. With others: refused. */
  async bootstrap(members: readonly NodeInfo[], options?: CallOptions): Promise<void> {
    await this.#call(NodeService.bootstrap, { members: copies(members) }, 'write', options)
  }

  /** Tells the node where its peers listen now. */
  async setPeers(peers: readonly NodeInfo[], options?: CallOptions): Promise<void> {
    await this.#call(NodeService.setPeers, { peers: copies(peers) }, 'write', options)
  }

  /** A hint that the leader's process is gone: campaign now. */
  async campaign(options?: CallOptions): Promise<void> {
    await this.#call(NodeService.campaign, {}, 'write', options)
  }

  /** Hands leadership to a node, or to the most up-to-date follower. A node that does not lead succeeds at once. */
  async transferLeadership(to?: string, options?: CallOptions): Promise<void> {
    await this.#call(NodeService.transferLeadership, { nodeId: to ?? '' }, 'write', options)
  }

  /** Makes the shard the owner of partitions, fenced by the epoch. Leader only. */
  async assignPartitions(epoch: bigint, owned: readonly PartitionRange[], options?: CallOptions): Promise<void> {
    const request = { epoch, owned: owned.map(({ first, last }) => ({ first, last })) }
    await this.#call(NodeService.assignPartitions, request, 'write', options)
  }

  close(): void {
    this.#channel.close()
  }

  #call<Req, Res>(
    method: MethodDefinition<Req, Res>,
    request: Req,
    effect: Effect,
    options: CallOptions | undefined,
  ): Promise<Res> {
    return this.#channel.unary(method, request, effect, options?.deadlineMs ?? DEADLINE_MS)
  }
}

function copies(nodes: readonly NodeInfo[]): NodeInfo[] {
  return nodes.map(({ id, address }) => ({ id, address }))
}

function present(status: NodeStatus | undefined, address: string): NodeStatus {
  if (status === undefined) throw new InternalError(`${address} answered without a status`, { outcome: 'not-applied' })
  return status
}
