import { PARTITIONS, partitionOf } from '../../../core/slot.js'
import { type ClusterMap, makeClusterMap } from '../../../core/topology.js'
import type { Chance } from '../chance.js'
import type { Agenda } from './agenda.js'
import { type Peer, type PeerWorld, SimGateway, type SimNode, SimShard } from './peers.js'
import type { Truth } from './truth.js'
import type { Weather } from './weather.js'

const SHARDS = 3
const NODES = 3
export const GATEWAYS: readonly string[] = ['gateway:1', 'gateway:2']

/** The cluster that clients ask, and what befalls it. */
export class Cluster implements PeerWorld {
  epoch = 1n
  map: ClusterMap
  readonly shards: readonly SimShard[]
  readonly peers: readonly Peer[]
  /** Told of a process that has ended. */
  ended: (peer: Peer) => void = () => {}
  /** In the map. One may leave it, and come again. */
  readonly #members: Set<SimShard>
  readonly #owners: SimShard[]
  readonly #moving = new Set<number>()

  constructor(
    readonly agenda: Agenda,
    readonly chance: Chance,
    readonly weather: Weather,
    readonly truth: Truth,
  ) {
    this.shards = Array.from({ length: SHARDS }, (_, at) => new SimShard(at + 1, NODES, this))
    this.peers = [...this.shards.flatMap(({ nodes }) => nodes), ...GATEWAYS.map((at) => new SimGateway(at, this))]
    this.#members = new Set(this.shards)
    this.#owners = Array.from({ length: PARTITIONS }, () => chance.pick(this.shards))
    for (const shard of this.shards) shard.elect()
    this.map = this.#mapOfNow()
  }

  ownerOf(key: Uint8Array): SimShard {
    return this.#owners[partitionOf(key)] as SimShard
  }

  isMoving(key: Uint8Array): boolean {
    return this.#moving.has(partitionOf(key))
  }

  peerAt(address: string): Peer | undefined {
    return this.peers.find((peer) => peer.address === address)
  }

  /** What may befall it in one step. */
  step(): void {
    const { chance, weather, shards, peers } = this
    for (const shard of shards) if (shard.leader === undefined && chance.happens(0.1)) shard.elect()
    if (weather.strikes('election')) this.#depose(chance.pick(shards))
    if (weather.strikes('restart')) this.stop(chance.pick(peers), 'down', chance.between(10, 300))
    if (weather.strikes('pause')) this.stop(chance.pick(peers), 'paused', chance.between(10, 400))
    if (weather.strikes('expiry')) chance.pick(shards).sessions.expire()
    if (weather.strikes('readdress')) this.#swapAddresses(chance.pick(shards))
    if (weather.strikes('move')) this.#move(chance.pick(shards), chance.pick([...this.#members]), 0.3)
    if (weather.strikes('join')) this.#joinOrLeave(chance.pick(shards))
  }

  /** A process ends, or stands still; and goes on later, if `ms` is given. */
  stop(peer: Peer, state: 'down' | 'paused', ms?: number): void {
    if (peer.state !== 'up') return
    peer.turn(state)
    if (state === 'down') this.ended(peer)
    for (const shard of this.shards) if (shard.leader === peer) shard.leader = undefined
    if (ms !== undefined) this.agenda.plan(ms, () => peer.turn('up'))
  }

  heal(): void {
    for (const peer of this.peers) peer.turn('up')
    for (const shard of this.shards) if (shard.leader === undefined) shard.elect()
  }

  /** The old leader does not lead any more; that another one does, it need not know. */
  #depose(shard: SimShard): void {
    shard.leader = undefined
    if (this.chance.happens(0.5)) shard.elect()
  }

  /** Two nodes start again, each where the other was. */
  #swapAddresses(shard: SimShard): void {
    const [one, other] = this.chance.shuffled(shard.nodes) as [SimNode, SimNode]
    for (const node of [one, other]) this.stop(node, 'down', this.chance.between(10, 50))
    ;[one.address, other.address] = [other.address, one.address]
    this.#publish()
  }

  #move(from: SimShard, to: SimShard, share: number): void {
    const partitions = [...this.#owners.keys()].filter((at) => this.#owners[at] === from && this.chance.happens(share))
    for (const partition of partitions) this.#moving.add(partition)
    this.agenda.plan(this.chance.between(0, 60), () => {
      for (const partition of partitions) {
        this.#moving.delete(partition)
        this.#owners[partition] = to
      }
      // To a shard that has left meanwhile it does not matter who gives it what it must not keep.
      this.#members.add(to)
      this.#publish()
    })
  }

  #joinOrLeave(shard: SimShard): void {
    if (this.#members.has(shard)) {
      if (this.#members.size === 1) return
      this.#members.delete(shard)
      this.#move(shard, this.chance.pick([...this.#members]), 1)
    } else {
      this.#members.add(shard)
      this.#publish()
    }
  }

  #publish(): void {
    this.epoch++
    this.map = this.#mapOfNow()
  }

  #mapOfNow(): ClusterMap {
    // Who has left is there for as long as it owns anything.
    const shards = this.shards.filter((shard) => this.#members.has(shard) || this.#owners.includes(shard))
    return makeClusterMap({
      clusterId: 'world',
      epoch: this.epoch,
      owners: this.#owners.map(({ id }) => id),
      shards: shards.map(({ id, nodes }) => ({
        id,
        nodes: nodes.map((node) => ({ id: node.id, address: node.address })),
      })),
    })
  }
}
