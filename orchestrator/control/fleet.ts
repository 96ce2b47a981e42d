import { existsSync } from 'node:fs'
import type { DataDirectory } from './data-directory.js'
import type { Group } from './group.js'
import { removeLeftovers } from './leftovers.js'
import { type PlanOptions, planGroups } from './plan.js'
import type { ClusterRecord } from './registry.js'
import { placesFrom, placesOf, type Shape } from './shape.js'
import type { Supervisor } from './supervisor.js'

export interface FleetOptions extends Omit<PlanOptions, 'ofNodes' | 'supervisors' | 'clusterId'> {
  readonly stopTimeoutMs: number
}

/** The groups of a cluster. The registry has its shape; what is above it is left over, and removed. */
export class Fleet {
  readonly #supervisors = new Set<Supervisor>()
  #groups: readonly Group[] = []

  private constructor(
    private readonly options: FleetOptions,
    /** As the registry has it. */
    private record: ClusterRecord,
    readonly meta: Group,
  ) {}

  /**
   * Plans what the registry has, and starts nothing. Throws a StartFault unless there is room for the groups up to
   * `needed`; further ones are for whoever wants them.
   */
  static async open(options: FleetOptions, record: ClusterRecord, needed: number): Promise<Fleet> {
    expectRoomFor({ ...record, shards: needed }, options.directory)
    await removeLeftovers(record.shards, { ...options, clusterId: record.clusterId })
    const supervisors = new Set<Supervisor>()
    const ofNodes = placesOf(record).length
    const plan = { ...options, clusterId: record.clusterId, ofNodes, supervisors }
    const [meta, ...shards] = await planGroups(placesOf(record), plan)
    if (meta === undefined) throw new TypeError('a plan without meta')
    const fleet = new Fleet(options, record, meta)
    fleet.#groups = shards
    for (const one of supervisors) fleet.#supervisors.add(one)
    return fleet
  }

  get shape(): ClusterRecord {
    return this.record
  }

  /** In the order of their ids. */
  get shards(): readonly Group[] {
    return this.#groups
  }

  get all(): readonly Group[] {
    return [this.meta, ...this.#groups]
  }

  shard(id: number): Group {
    const found = this.#groups.find(({ shard }) => shard === id)
    if (found === undefined) throw new TypeError(`there is no shard ${id}`)
    return found
  }

  /** Makes sure that the groups up to this one are there, and starts them. Written down before one is made. */
  async growTo(shards: number): Promise<void> {
    this.expectRoom(shards)
    if (shards > this.record.shards) await this.#reshape(shards)
    const first = (this.#groups.at(-1)?.shard ?? 0) + 1
    const places = placesFrom(first, this.record)
    if (places.length > 0) {
      const { clusterId } = this.record
      const ofNodes = placesOf(this.record).length
      const plan = { ...this.options, clusterId, ofNodes, supervisors: this.#supervisors }
      this.#groups = [...this.#groups, ...(await planGroups(places, plan))]
    }
    for (const group of this.#groups) group.start()
  }

  /** Ends and removes the groups above this one, which no map has any more. */
  async shrinkTo(shards: number, force: AbortSignal): Promise<void> {
    const gone = this.#groups.filter(({ shard }) => shard > shards)
    if (shards < this.record.shards) await this.#reshape(shards)
    await Promise.all(gone.map((group) => group.stop(this.options.stopTimeoutMs, force)))
    await removeLeftovers(shards, { ...this.options, clusterId: this.record.clusterId })
    this.#groups = this.#groups.filter((group) => !gone.includes(group))
    for (const node of gone.flatMap((group) => group.nodes)) this.#supervisors.delete(node)
  }

  /** Whether nothing is there, or left over, above this group. */
  isAt(shards: number): boolean {
    return this.record.shards <= shards && this.#groups.every(({ shard }) => shard <= shards)
  }

  /** Throws a StartFault unless there is room for so many shards. */
  expectRoom(shards: number): void {
    expectRoomFor({ ...this.record, shards }, this.options.directory)
  }

  async #reshape(shards: number): Promise<void> {
    const record = { ...this.record, shards }
    await this.options.registry.setCluster(record)
    this.record = record
  }
}

/** Nodes that have data already need no room to begin with. */
function expectRoomFor(shape: Shape, directory: DataDirectory): void {
  directory.expectRoom(placesOf(shape).filter((place) => !existsSync(directory.node(place))).length)
}
