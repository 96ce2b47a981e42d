import { isStale } from '../core/operation.js'
import type { NodeInfo, ShardInfo } from '../core/topology.js'
import { type KvError, type LeaderHint, WrongPeerError } from '../errors/index.js'
import type { LaneChange, LaneOptions } from '../wire/lane.js'
import type { Call } from './call.js'
import { Detour, type GatewayList } from './detour.js'
import type { StoreEvent } from './events.js'
import { Leadership } from './leadership.js'
import { Node } from './node.js'
import { Replicas } from './replicas.js'
import { Search } from './search.js'

export interface ShardOptions {
  /** The cluster that its nodes must belong to. Undefined: they are not asked who they are. */
  readonly cluster?: string
  /** Who is asked while its nodes cannot be reached from here. */
  readonly gateways?: GatewayList
  readonly lane: Omit<LaneOptions, 'peer' | 'onChange'>
  /** Lets a call wait, until `release` or its deadline. */
  readonly park: (call: Call) => void
  /** Routes a parked call again. */
  readonly release: (call: Call) => void
  /** The map does not explain what a node said. */
  readonly refreshMap: () => void
  readonly onEvent: (event: StoreEvent) => void
}

/**
 * One Raft group as its clients see it: sends calls to the leader. While no leader is known calls are parked, and a
 * search asks the nodes. Leaders come from hints and answers; nobody polls while all is well.
 */
export class Shard {
  readonly id: number
  /** Those that are with it: sent, parked, or about to ask again. */
  calls = 0
  readonly #options: ShardOptions
  readonly #nodes = new Map<string, Node>()
  readonly #retired = new Set<Node>()
  readonly #leadership = new Leadership()
  readonly #replicas = new Replicas()
  readonly #parked = new Set<Call>()
  readonly #search: Search
  readonly #detour: Detour | undefined
  #leader: Node | undefined
  /** The leader that was lost last. Whoever names it probably has not heard of its end: it has to answer for itself. */
  #lost: Node | undefined

  constructor(info: ShardInfo, options: ShardOptions) {
    this.id = info.id
    this.#options = options
    this.#search = new Search({
      clock: options.lane.clock,
      rng: options.lane.rng,
      nodes: () => this.#askable(),
      key: () => this.#parked.values().next().value?.operation.key,
      answered: (node, error) => this.#probed(node, error),
    })
    const { gateways, lane } = options
    const always = info.nodes.length === 0
    this.#detour = gateways && new Detour({ gateways, lane, always, opened: () => this.#takeDetour() })
    this.update(info)
  }

  /** Asks the leader, or a gateway on its behalf, or parks the call. A read with a bound goes to any replica first. */
  route(call: Call): void {
    const replica = isStale(call.operation) ? this.#replicas.pick(this.#nodes, call) : undefined
    if (replica !== undefined) {
      send(call, replica)
      return
    }
    const leader = this.#leader
    if (leader?.lane.usable) {
      send(call, leader)
      return
    }
    if (leader !== undefined) this.#lose(leader)
    const gateway = this.#detour?.node
    if (gateway !== undefined) {
      if (this.#detour?.mayLook()) this.#search.once(call.operation.key)
      send(call, gateway)
      return
    }
    this.#detour?.wanted()
    this.#parked.add(call)
    this.#options.park(call)
    this.#search.start()
  }

  /** A parked call waits no more. */
  forget(call: Call): void {
    this.#parked.delete(call)
  }

  /** Learns from a failed attempt. Says whether there is a better node to ask now than the one that was asked. */
  learn(call: Call, node: Node, error: KvError): boolean {
    // A replica that cannot prove enough for this read may lead all the same, and serve the others.
    if (isStale(call.operation)) return this.#replicas.another(this.#nodes, call)
    if (error.code === 'NOT_LEADER') {
      if (error.leader === undefined || !this.#hinted(error.leader)) this.#lose(node)
    } else if (error.code === 'UNAVAILABLE' && this.#nodes.size > 1) {
      // The node itself may say so: it leads no majority, or is about to stop.
      this.#lose(node)
    }
    return this.#leader !== undefined && this.#leader !== node
  }

  /** Takes the shard's nodes from a newer map. Lanes to nodes that stay where they were go on. */
  update(info: ShardInfo): void {
    const wanted = new Map(info.nodes.map((node) => [node.id, node]))
    for (const node of [...this.#nodes.values()]) {
      if (wanted.get(node.id)?.address !== node.address) this.#retire(node)
    }
    for (const node of info.nodes) {
      if (!this.#nodes.has(node.id)) this.#nodes.set(node.id, this.#makeNode(node))
    }
    for (const node of this.#retired) if (node.lane.closed) this.#retired.delete(node)
    // With one node there is nobody else to ask.
    const [only] = this.#nodes.values()
    if (this.#nodes.size === 1 && only !== undefined && this.#leadership.confirmed(only.id)) this.#found(only)
  }

  close(): void {
    this.#search.stop()
    this.#detour?.close()
    for (const node of [...this.#nodes.values(), ...this.#retired]) node.lane.close()
  }

  #makeNode(info: NodeInfo): Node {
    const { cluster, lane } = this.#options
    const peer = cluster === undefined ? undefined : { cluster, shard: this.id, node: info.id }
    return new Node(info, peer, lane, (node, change) => this.#laneChanged(node, change))
  }

  #retire(node: Node): void {
    this.#nodes.delete(node.id)
    this.#retired.add(node)
    this.#detour?.reached(node, false)
    this.#lose(node)
    node.lane.retire()
  }

  #laneChanged(node: Node, change: LaneChange): void {
    const where = { shard: this.id, node: node.id, address: node.address }
    this.#detour?.reached(node, change.kind === 'open' || change.kind === 'recovered')
    switch (change.kind) {
      case 'open':
        this.#options.onEvent({ type: 'lane.open', ...where })
        if (this.#nodes.size === 1 && this.#leadership.confirmed(node.id)) this.#found(node)
        return
      case 'down':
        this.#options.onEvent({ type: 'lane.down', ...where, cause: change.cause })
        this.#lose(node)
        // Somebody else listens where the map says that the node does.
        if (change.cause instanceof WrongPeerError) this.#options.refreshMap()
        return
      case 'stalled':
        this.#options.onEvent({ type: 'lane.stalled', ...where })
        this.#lose(node)
        return
      case 'recovered':
        this.#options.onEvent({ type: 'lane.recovered', ...where })
    }
  }

  *#askable(): Generator<Node> {
    yield* this.#nodes.values()
    if (this.#detour !== undefined) yield* this.#detour.candidates
  }

  /** Goes through a gateway, if that is due and one can be asked. */
  #takeDetour(): void {
    if (this.#parked.size === 0 || !this.#detour?.take()) return
    this.#search.stop()
    this.#releaseAll()
  }

  #probed(node: Node, error: KvError | undefined): void {
    if (this.#detour?.isGateway(node)) {
      this.#takeDetour()
      return
    }
    if (error?.code === 'NOT_LEADER') {
      if (error.leader !== undefined) this.#hinted(error.leader)
    } else if (error === undefined || (isOfOwnership(error) && this.#options.cluster !== undefined)) {
      // Nodes look at ownership only after they have made sure that they lead, and at who is meant before that. Without
      // the latter it could be the leader of another shard.
      if (this.#leadership.confirmed(node.id)) this.#found(node)
    }
  }

  /** Says whether there is a leader to go to that was not known before. */
  #hinted(hint: LeaderHint): boolean {
    if (!this.#leadership.hinted(hint.nodeId, hint.term)) return false
    const node = this.#nodes.get(hint.nodeId)
    if (node?.lane.usable && node !== this.#lost) {
      this.#found(node)
      return true
    }
    if (node === undefined) this.#options.refreshMap()
    this.#leadership.lost(hint.nodeId)
    this.#leader = undefined
    return false
  }

  #found(node: Node): void {
    const searchedMs = this.#search.elapsedMs
    this.#leader = node
    this.#lost = undefined
    this.#detour?.end()
    this.#search.stop()
    this.#options.onEvent({ type: 'leader.found', shard: this.id, node: node.id, searchedMs })
    this.#releaseAll()
  }

  #lose(node: Node): void {
    if (!this.#leadership.lost(node.id)) return
    this.#leader = undefined
    this.#lost = node
    this.#options.onEvent({ type: 'leader.lost', shard: this.id, node: node.id })
  }

  #releaseAll(): void {
    const calls = [...this.#parked]
    this.#parked.clear()
    for (const call of calls) this.#options.release(call)
  }
}

function isOfOwnership({ code }: KvError): boolean {
  return code === 'WRONG_SHARD' || code === 'MOVING'
}

function send(call: Call, node: Node): void {
  call.node = node
  call.attempts++
  node.send(call)
}
