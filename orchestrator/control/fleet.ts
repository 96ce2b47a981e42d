import type { NodePlace } from './data-directory.js'
import { OutOfReach } from './faults.js'
import type { Group } from './group.js'
import { removeLeaver, removeLeftovers, removeStrays } from './leftovers.js'
import { placesFrom, withJoiner, withoutLeaver } from './membership.js'
import { type PlanOptions, planGroups, planNode } from './plan.js'
import type { ClusterRecord } from './registry.js'
import type { Supervisor } from './supervisor.js'

export interface FleetOptions extends Omit<PlanOptions, 'supervisors' | 'clusterId'> {
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
    const { registry } = options
    expectRoomFor(placesFrom(0, { ...record, shards: needed }, await registry.groups()), options)
    await removeLeftovers(record.shards, { ...options, clusterId: record.clusterId }).catch(laterIfOutOfReach(options))
    await removeStrays(record.shards, { ...options, clusterId: record.clusterId }).catch(laterIfOutOfReach(options))
    const supervisors = new Set<Supervisor>()
    const plan = { ...options, clusterId: record.clusterId, supervisors }
    const [meta, ...shards] = await planGroups(placesFrom(0, record, await registry.groups()), plan)
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

  /** Meta is 0. */
  shard(id: number): Group {
    const found = this.all.find(({ shard }) => shard === id)
    if (found === undefined) throw new TypeError(`there is no shard ${id}`)
    return found
  }

  /** Makes sure that the groups up to this one are there, and starts them. Written down before one is made. */
  async growTo(shards: number): Promise<void> {
    this.expectRoom(shards)
    // What could not be reached before: a directory's name is free for new nodes only when nothing lies there.
    await removeLeftovers(this.record.shards, { ...this.options, clusterId: this.record.clusterId })
    if (shards > this.record.shards) await this.#reshape({ shards })
    const first = (this.#groups.at(-1)?.shard ?? 0) + 1
    const places = placesFrom(first, this.record, await this.options.registry.groups())
    if (places.length > 0) this.#groups = [...this.#groups, ...(await planGroups(places, this.#plan))]
    for (const group of this.#groups) group.start()
  }

  /** Ends and removes the groups above this one, which no map has any more. */
  async shrinkTo(shards: number, force: AbortSignal): Promise<void> {
    const gone = this.#groups.filter(({ shard }) => shard > shards)
    if (shards < this.record.shards) await this.#reshape({ shards })
    await Promise.all(gone.map((group) => group.stop(this.options.stopTimeoutMs, force)))
    await removeLeftovers(shards, { ...this.options, clusterId: this.record.clusterId })
    this.#groups = this.#groups.filter((group) => !gone.includes(group))
    for (const node of gone.flatMap((group) => group.nodes)) this.#supervisors.delete(node)
  }

  /** What nodes that are new are started with from now on: a program that was taken in, or the driver's own. */
  async useProgram(program: string | undefined): Promise<void> {
    if (program !== this.record.program) await this.#reshape({ program })
  }

  /** Whether nothing is there, or left over, above this group. */
  isAt(shards: number): boolean {
    return this.record.shards <= shards && this.#groups.every(({ shard }) => shard <= shards)
  }

  /** The node that is being added to a group: begun now, unless it was before. Written down before it is made. */
  async admit(group: Group): Promise<Supervisor> {
    await group.change(withJoiner)
    const { joining } = group.record ?? {}
    if (joining === undefined) throw new TypeError(`nobody joins ${group.name}`)
    const node = group.nodeAt(joining.index) ?? (await planNode(group, joining.index, this.#plan))
    node.start()
    return node
  }

  /**
   * Ends and removes what is left of the node that is no member of its group any more: process, directory, and what is known
   * of it. In this order, so that whatever is left can be found again.
   */
  async clear(group: Group, force: AbortSignal): Promise<void> {
    const index = group.record?.leaving
    if (index === undefined) return
    const node = group.nodeAt(index)
    if (node !== undefined) {
      group.dismiss(node)
      await node.stop(this.options.stopTimeoutMs, force)
      this.#supervisors.delete(node)
    }
    // Its machine may be gone for good, and its name is nobody's any more: it is tried again by every orchestrator that starts.
    await removeLeaver({ shard: group.shard, index }, { ...this.options, clusterId: this.record.clusterId }).catch(
      laterIfOutOfReach(this.options),
    )
    await group.change(withoutLeaver)
  }

  /** From now on a new group has so many nodes. Every group has already. */
  async setReplicas(replicas: number): Promise<void> {
    if (this.record.replicas !== replicas) await this.#reshape({ replicas })
  }

  /** Throws a StartFault unless there is room for so many shards. */
  expectRoom(shards: number): void {
    const records = this.all.map(({ record }) => record).filter((record) => record !== undefined)
    expectRoomFor(placesFrom(0, { ...this.record, shards }, records), this.options)
  }

  /** Throws a StartFault unless there is room for so many more nodes in each group. */
  expectRoomForMore(nodes: number): void {
    const places = this.all.flatMap(({ shard, record }) =>
      Array.from({ length: nodes }, (_, at) => ({ shard, index: (record?.lastIndex ?? 0) + at + 1 })),
    )
    expectRoomFor(places, this.options)
  }

  get #plan(): PlanOptions {
    const { clusterId } = this.record
    return { ...this.options, clusterId, supervisors: this.#supervisors }
  }

  async #reshape(change: Partial<ClusterRecord>): Promise<void> {
    const record = { ...this.record, ...change }
    await this.options.registry.setCluster(record)
    this.record = record
  }
}

/** Data flows on while a machine is away that has something left to remove. */
function laterIfOutOfReach({ telemetry }: Pick<FleetOptions, 'telemetry'>): (error: unknown) => void {
  return (error) => {
    if (!(error instanceof OutOfReach)) throw error
    telemetry.emit('leftovers.stay', { reason: error.message })
  }
}

/** Nodes that have data already need no room to begin with. */
function expectRoomFor(
  places: readonly NodePlace[],
  { driver, directory }: Pick<FleetOptions, 'driver' | 'directory'>,
) {
  driver.expectRoom(places, directory)
}
