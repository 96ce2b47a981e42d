import { MapCell } from '../../core/map-source.js'
import { PARTITIONS, partitionOf } from '../../core/slot.js'
import { type ClusterMap, makeClusterMap, type ShardInfo } from '../../core/topology.js'
import { Store } from '../../store/index.js'
import { OwningShard, type Rows } from '../../store/testing/owning-shard.js'
import { FakeNode } from '../../wire/testing/fake-node.js'
import { FakeGateway } from './fake-gateway.js'

/** The key whose partition moves. */
export const KEY = 'key'
const CLUSTER = 'c1'
/** An address at which nobody listens. */
const NOWHERE = '127.0.0.1:1'

/** Two shards of one node each, behind a gateway, over real connections: the partition of KEY moves from the first one. */
export class MovingCluster {
  readonly rows: Rows = new Map()
  readonly giver = new OwningShard(1, this.rows, 'owned')
  readonly receiver = new OwningShard(2, this.rows, 'importing')
  readonly gateway: FakeGateway
  readonly #nodes: readonly FakeNode[]
  readonly #remote: boolean
  readonly #routes: MapCell
  readonly #store: Store

  /** With `remote` clients are told addresses at which they cannot reach the nodes. */
  static async start({ remote = false } = {}): Promise<MovingCluster> {
    const cluster = new MovingCluster([await FakeNode.start(), await FakeNode.start()], remote)
    await cluster.gateway.open()
    return cluster
  }

  private constructor(nodes: readonly FakeNode[], remote: boolean) {
    this.#nodes = nodes
    this.#remote = remote
    for (const [at, shard] of [this.giver, this.receiver].entries()) {
      const node = nodes[at] as FakeNode
      node.identity = { cluster: CLUSTER, shard: shard.id, node: `n${shard.id}` }
      node.answer = (operation, stamp) => shard.answer(operation, stamp)
    }
    this.#routes = new MapCell(this.#map(1n))
    this.#store = new Store({ map: this.#routes })
    this.gateway = new FakeGateway(this.#map(1n, remote), this.#store)
  }

  get tokens(): readonly string[] {
    return this.rows.get(KEY) ?? []
  }

  /** Epoch 1: all is the giver's. 2: KEY is the receiver's. 3: all is, and there is no giver. */
  tellGateway(epoch: bigint): void {
    this.#routes.publish(this.#map(epoch))
  }

  tellClients(epoch: bigint): void {
    this.gateway.publish(this.#map(epoch, this.#remote))
  }

  async close(): Promise<void> {
    await this.gateway.close()
    this.#store.close()
    for (const node of this.#nodes) await node.close()
  }

  #map(epoch: bigint, hidden = false): ClusterMap {
    const shards: ShardInfo[] = this.#nodes.map(({ address }, at) => ({
      id: at + 1,
      nodes: [{ id: `n${at + 1}`, address: hidden ? NOWHERE : address }],
    }))
    const moved = partitionOf(Buffer.from(KEY))
    const owners = Array.from({ length: PARTITIONS }, (_, at) => (epoch > 2n || (epoch === 2n && at === moved) ? 2 : 1))
    return makeClusterMap({ clusterId: CLUSTER, epoch, owners, shards: epoch > 2n ? shards.slice(1) : shards })
  }
}
