import { MapCell } from '../../core/map-source.js'
import { PARTITIONS } from '../../core/slot.js'
import { type ClusterMap, makeClusterMap, type NodeInfo } from '../../core/topology.js'
import { Store } from '../../store/index.js'
import { FakeNode, type Row } from '../../wire/testing/fake-node.js'
import { FakeGateway } from './fake-gateway.js'

/** An address at which nobody listens. */
const NOWHERE = '127.0.0.1:1'

/** One shard of fake nodes that share their rows, behind a gateway: all in this process, over real connections. */
export class FakeCluster {
  readonly gateway: FakeGateway
  readonly #store: Store

  private constructor(
    readonly id: string,
    readonly nodes: readonly FakeNode[],
    readonly rows: Map<string, Row>,
    /** What the gateway routes by. */
    private readonly routes: MapCell,
    told: ClusterMap,
  ) {
    this.#store = new Store({ map: routes })
    this.gateway = new FakeGateway(told, this.#store)
  }

  /** Node n1 leads. With `remote` clients are told addresses at which they cannot reach the nodes. */
  static async start({ id = 'c1', remote = false, port = 0 } = {}): Promise<FakeCluster> {
    const rows = new Map<string, Row>()
    const nodes = await Promise.all([1, 2, 3].map(() => FakeNode.start(0, rows)))
    const infos = nodes.map((node, at) => ({ id: `${id}-n${at + 1}`, address: node.address }))
    const hidden = infos.map((info) => ({ ...info, address: NOWHERE }))
    const routes = new MapCell(mapOf(id, 1n, infos))
    const cluster = new FakeCluster(id, nodes, rows, routes, mapOf(id, 1n, remote ? hidden : infos))
    cluster.elect(0, 1n)
    for (const [at, node] of nodes.entries()) node.identity = { cluster: id, shard: 1, node: `${id}-n${at + 1}` }
    await cluster.gateway.open(port)
    return cluster
  }

  get leader(): FakeNode {
    return this.nodes[0] as FakeNode
  }

  /** As the gateway's map has them. */
  get infos(): readonly NodeInfo[] {
    return this.routes.current().shards.flatMap(({ nodes }) => nodes)
  }

  /** Puts operations that the nodes were asked for. */
  get writes(): number {
    return this.nodes.flatMap((node) => node.operations).filter(({ kind }) => kind === 'put').length
  }

  /** The node at this position leads the term, and the others know it. */
  elect(leader: number, term: bigint): void {
    for (const [at, node] of this.nodes.entries()) {
      if (at === leader) node.lead()
      else node.follow({ node: this.nodes[leader] as FakeNode, nodeId: `${this.id}-n${leader + 1}`, term })
    }
  }

  /** A newer map with these nodes, for the gateway and its clients. */
  publish(epoch: bigint, nodes: readonly NodeInfo[]): void {
    const map = mapOf(this.id, epoch, nodes)
    this.routes.publish(map)
    this.gateway.publish(map)
  }

  async close(): Promise<void> {
    await this.gateway.close()
    this.#store.close()
    for (const node of this.nodes) await node.close()
  }
}

export function mapOf(clusterId: string, epoch: bigint, nodes: readonly NodeInfo[]): ClusterMap {
  return makeClusterMap({ clusterId, epoch, owners: Array(PARTITIONS).fill(1), shards: [{ id: 1, nodes }] })
}
