import type { MethodDefinition } from '@grpc/grpc-js'
import { type Clock, systemClock } from '../core/clock.js'
import type { NodeInfo } from '../core/topology.js'
import { InternalError } from '../errors/index.js'
import { Channel, type Effect } from './channel.js'
import {
  ImportResponse_Phase as ImportPhase,
  type ImportResponse,
  MoveStep,
  NodeService,
  type NodeStatus,
  type PartitionRange,
  type PartitionReport,
  PartitionState,
  Role,
  State,
} from './gen/node/v1/node.js'
import type { PeerIdentity } from './peer.js'

export {
  ImportPhase,
  type ImportResponse,
  MoveStep,
  type NodeStatus,
  type PartitionRange,
  type PartitionReport,
  PartitionState,
  Role,
  State,
}

const DEADLINE_MS = 5000

export interface CallOptions {
  /** Default 5,000. */
  readonly deadlineMs?: number
}

/** Partitions that are to come from another shard. */
export interface ImportOrder {
  /** Of the move, and of no other one. */
  readonly epoch: bigint
  readonly partitions: readonly PartitionRange[]
  readonly fromShard: number
  /** The giver's nodes. */
  readonly from: readonly NodeInfo[]
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

  /**
   * Makes a node a member without a vote. Leader only, like the other changes of members; done already, each succeeds, and
   * gives the index of the configuration. `ifConfiguration` is the one that the order was made for: with any other one it
   * is refused (PRECONDITION_FAILED); undefined: whatever it is.
   */
  async addNonVoter(node: NodeInfo, ifConfiguration?: bigint, options?: CallOptions): Promise<bigint> {
    const request = { node: { id: node.id, address: node.address }, ifConfiguration: ifConfiguration ?? 0n }
    return (await this.#call(NodeService.addNonVoter, request, 'write', options)).configuration
  }

  /** Gives a member its vote. UNAVAILABLE (not applied) until it has caught up: ask again. */
  async promote(nodeId: string, ifConfiguration?: bigint, options?: CallOptions): Promise<bigint> {
    const request = { nodeId, ifConfiguration: ifConfiguration ?? 0n }
    return (await this.#call(NodeService.promote, request, 'write', options)).configuration
  }

  /** Removes a member. A leader that is to remove itself hands over and answers NOT_LEADER: ask the next one. */
  async removeMember(nodeId: string, ifConfiguration?: bigint, options?: CallOptions): Promise<bigint> {
    const request = { nodeId, ifConfiguration: ifConfiguration ?? 0n }
    return (await this.#call(NodeService.removeMember, request, 'write', options)).configuration
  }

  /**
   * Has the shard use a newer format of commands, for good. Leader only. Every member has to answer (else UNAVAILABLE) and to
   * know it (else PRECONDITION_FAILED): NodeStatus.formatMax says. In use already, it succeeds.
   */
  async raiseFormat(format: number, options?: CallOptions): Promise<void> {
    await this.#call(NodeService.raiseFormat, { format }, 'write', options)
  }

  /** Makes the shard the owner of partitions, fenced by the epoch. Leader only. */
  async assignPartitions(epoch: bigint, owned: readonly PartitionRange[], options?: CallOptions): Promise<void> {
    await this.#call(NodeService.assignPartitions, { epoch, owned: plain(owned) }, 'write', options)
  }

  /**
   * Takes partitions over from another shard (leader only), and tells how far it is. Ends after ACTIVE. If it ends before,
   * or throws, nobody knows how far it came. Aborting `signal` asks for its end and says nothing about it either.
   */
  importPartitions(
    { epoch, partitions, fromShard, from }: ImportOrder,
    signal: AbortSignal,
  ): AsyncGenerator<ImportResponse> {
    const request = { epoch, partitions: plain(partitions), fromShard, from: copies(from), bytesPerSecond: 0n }
    return this.#channel.stream(NodeService.import, request, signal)
  }

  /** Proposes one step of a move (leader only). Done already: succeeds. Against what the shard knows: PRECONDITION_FAILED. */
  async move(
    step: MoveStep,
    epoch: bigint,
    partitions: readonly PartitionRange[],
    options?: CallOptions,
  ): Promise<void> {
    const request = { step, epoch, partitions: plain(partitions), freezeMs: 0 }
    await this.#call(NodeService.move, request, 'write', options)
  }

  /** What the shard's state machine knows of its partitions; of those that are not there it knows nothing. Leader only. */
  async partitions(options?: CallOptions): Promise<readonly PartitionReport[]> {
    return (await this.#call(NodeService.partitions, {}, 'read', options)).partitions
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

function plain(ranges: readonly PartitionRange[]): PartitionRange[] {
  return ranges.map(({ first, last }) => ({ first, last }))
}

function copies(nodes: readonly NodeInfo[]): NodeInfo[] {
  return nodes.map(({ id, address }) => ({ id, address }))
}

function present(status: NodeStatus | undefined, address: string): NodeStatus {
  if (status === undefined) throw new InternalError(`${address} answered without a status`, { outcome: 'not-applied' })
  return status
}
