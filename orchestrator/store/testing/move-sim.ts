import type { Operation } from '../../core/operation.js'
import { PARTITIONS, partitionOf } from '../../core/slot.js'
import { type ClusterMap, makeClusterMap } from '../../core/topology.js'
import { OwningShard, type Rows } from './owning-shard.js'
import { SimCluster } from './sim-cluster.js'

export const KEY = Buffer.from('key')
export const READ: Operation = { kind: 'get', key: KEY }

export function append(token: string): Operation {
  return { kind: 'append', key: KEY, value: Buffer.from(token) }
}

/** The giver (shard 1, node a) and the receiver (shard 2, node b) of the partition of KEY, and a Store that uses them. */
export class MoveSim {
  readonly rows: Rows = new Map()
  readonly giver = new OwningShard(1, this.rows, 'owned')
  readonly receiver = new OwningShard(2, this.rows, 'importing')
  readonly cluster = new SimCluster(mapBefore())

  constructor() {
    this.cluster.node('a').answer = (operation, stamp) => this.giver.answer(operation, stamp)
    this.cluster.node('b').answer = (operation, stamp) => this.receiver.answer(operation, stamp)
  }

  /** Everybody is connected, and the Store has a session in the giver: the tokens that it leaves are `0`. */
  static async warm(): Promise<MoveSim> {
    const sim = new MoveSim()
    await sim.cluster.run(sim.cluster.execute(append('0')))
    return sim
  }

  get tokens(): readonly string[] {
    return this.rows.get(KEY.toString()) ?? []
  }

  freeze(): void {
    this.giver.ownership = 'frozen'
  }

  release(): void {
    this.giver.ownership = 'none'
    this.giver.epoch = 2n
  }

  activate(): void {
    this.receiver.ownership = 'owned'
    this.receiver.epoch = 2n
  }

  publish(map = mapAfter()): void {
    this.cluster.cell.publish(map)
  }

  move(): void {
    this.release()
    this.activate()
    this.publish()
  }
}

const GIVER = { id: 1, nodes: [{ id: 'a', address: 'a:1' }] }
const RECEIVER = { id: 2, nodes: [{ id: 'b', address: 'b:1' }] }
const OWNERS = Array<number>(PARTITIONS).fill(1)

function mapBefore(): ClusterMap {
  return makeClusterMap({ clusterId: 'sim', epoch: 1n, owners: OWNERS, shards: [GIVER, RECEIVER] })
}

/** The partition of KEY is the receiver's. */
export function mapAfter(): ClusterMap {
  const owners = OWNERS.with(partitionOf(KEY), 2)
  return makeClusterMap({ clusterId: 'sim', epoch: 2n, owners, shards: [GIVER, RECEIVER] })
}

/** There is no giver any more. */
export function mapWithoutGiver(): ClusterMap {
  return makeClusterMap({ clusterId: 'sim', epoch: 3n, owners: OWNERS.map(() => 2), shards: [RECEIVER] })
}
