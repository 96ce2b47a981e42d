import { Turns } from '../core/turns.js'
import { type NodePlace, nodeName } from './data-directory.js'
import type { Group } from './group.js'
import { Hearing } from './hearing.js'
import { removeLeaver, removeLeftovers } from './leftovers.js'
import { placesFrom, withJoiner, withoutLeaver } from './membership.js'
import { expectSeat, foresee, type PlanOptions, type Prospect, planGroups, planNode, type Seat } from './plan.js'
import type { ClusterRecord, NodeRecord, Registry } from './registry.js'
import type { Supervisor } from './supervisor.js'

export interface FleetOptions extends Omit<PlanOptions, 'supervisors' | 'clusterId'> {
  readonly stopTimeoutMs: number
  /** How long a machine must have been silent to count as gone. Default 0: none ever does. */
  readonly replaceMachineAfterMs?: number
  /** Done when meta has what the registry has, where others may have to go on from it. Rejects when that will not be. */
  readonly recorded: (signal?: AbortSignal) => Promise<void>
  /** Nodes are run that were all chosen before: one that the registry lacks is for an operation to choose. */
  readonly adopts: boolean
}

/** The groups of a cluster. The registry has its shape; what is above it is left over, and removed. */
export class Fleet {
  readonly #supervisors = new Set<Supervisor>()
  #groups: readonly Group[] = []
  /** What could not be removed, because its machine does not answer. */
  #stay: readonly NodeRecord[] = []
  /** One at a time changes which groups there are, or removes what is left over. */
  readonly #turns = new Turns()
  #gone: ReadonlySet<string> = new Set()
  readonly hearing: Hearing

  private constructor(
    private readonly options: FleetOptions,
    /** As the registry has it. */
    private record: ClusterRecord,
    readonly meta: Group,
  ) {
    this.hearing = new Hearing(options.clock, (machine) => this.hears(machine))
  }

  /**
   * Plans what the registry has, and starts nothing. Throws a StartFault unless there is room for the groups up to
   * `needed`; further ones are for whoever wants them.
   */
  static async open(options: FleetOptions, record: ClusterRecord, needed: number): Promise<Fleet> {
    const { registry } = options
    expectRoomFor(placesFrom(0, { ...record, shards: needed }, await registry.groups()), options)
    const stay = await removeLeftovers(record.shards, { ...options, clusterId: record.clusterId })
    const supervisors = new Set<Supervisor>()
    const plan = { ...options, clusterId: record.clusterId, supervisors }
    const places = await placesToStart(record, needed, stay, registry)
    const chosen = new Set((await registry.nodes()).map(nodeName))
    const planned = options.adopts ? places.filter((place) => chosen.has(nodeName(place))) : places
    const [meta, ...shards] = await planGroups(planned, plan)
    if (meta === undefined) throw new TypeError('a plan without meta')
    const fleet = new Fleet(options, record, meta)
    fleet.#groups = shards
    fleet.#note(stay)
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
  growTo(shards: number): Promise<void> {
    return this.#turns.take(async () => {
      // What could not be reached before: a directory's name is free for new nodes only when nothing lies there.
      this.#note(await removeLeftovers(this.record.shards, this.#leftoverDeps))
      this.expectRoom(shards)
      if (shards > this.record.shards) await this.#reshape({ shards })
      const first = (this.#groups.at(-1)?.shard ?? 0) + 1
      // Not those above that are to go again, and that may never have been made.
      const shape = { ...this.record, shards }
      const places = placesFrom(first, shape, await this.options.registry.groups(), this.#stay)
      if (places.length > 0) this.#groups = [...this.#groups, ...(await planGroups(places, this.#plan))]
      await this.options.recorded()
      for (const group of this.#groups) group.start()
    })
  }

  /** Ends and removes the groups above this one, which no map has any more. What cannot be reached waits for `sweep`. */
  shrinkTo(shards: number, force: AbortSignal): Promise<void> {
    return this.#turns.take(async () => {
      const gone = this.#groups.filter(({ shard }) => shard > shards)
      if (shards < this.record.shards) await this.#reshape({ shards })
      await Promise.all(gone.map((group) => group.stop(this.options.stopTimeoutMs, force)))
      this.#note(await removeLeftovers(shards, this.#leftoverDeps))
      this.#groups = this.#groups.filter((group) => !gone.includes(group))
      for (const node of gone.flatMap((group) => group.nodes)) this.#supervisors.delete(node)
    })
  }

  /** Ends and removes what could not be reached before, where that is possible now. */
  async sweep(): Promise<void> {
    const isBack = ({ machine }: NodeRecord) => machine !== undefined && this.hears(machine)
    if (!this.#stay.some(isBack)) return
    await this.#turns.take(async () => this.#note(await removeLeftovers(this.record.shards, this.#leftoverDeps)))
  }

  /** Whether the machine answers now, as far as its agent tells. */
  hears(machine: string): boolean {
    return this.options.driver.answers?.(machine) ?? true
  }

  /** Whether the machine has been silent for so long that it counts as gone. Nobody does when it is rather us who are cut off. */
  isGone(machine: string): boolean {
    const { replaceMachineAfterMs: after = 0 } = this.options
    const silentMs = this.hearing.silentMs(machine)
    return after > 0 && silentMs !== undefined && silentMs >= after && !this.hearing.isCutOff
  }

  /** Listens to all machines. Whoever waits for a node of one that is gone from now on is woken. */
  listen(): void {
    const nodes = this.all.flatMap((group) => group.nodes)
    this.hearing.look(nodes.map(({ spec, condition }) => ({ machine: spec.machine, answers: condition === 'up' })))
    const gone = new Set(nodes.map(({ spec }) => spec.machine).filter((machine) => this.isGone(machine)))
    const fresh = [...gone].filter((machine) => !this.#gone.has(machine))
    this.#gone = gone
    for (const machine of fresh) {
      const count = nodes.filter(({ spec }) => spec.machine === machine).length
      const silentMs = this.hearing.silentMs(machine) ?? 0
      this.options.telemetry.emit('machine.gone', { machine, silentMs, nodes: count })
      for (const group of this.all) if (group.nodes.some(({ spec }) => spec.machine === machine)) group.changed()
    }
  }

  /** Whether the node is on a machine on which its data could be looked for now, and it is there. */
  async holds({ spec }: Supervisor): Promise<boolean> {
    return this.hears(spec.machine) && (await this.options.driver.holds(spec)) && this.hears(spec.machine)
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
  async admit(group: Group, seat: Seat = {}): Promise<Supervisor> {
    await group.change(withJoiner)
    const { joining } = group.record ?? {}
    if (joining === undefined) throw new TypeError(`nobody joins ${group.name}`)
    const node = group.nodeAt(joining.index) ?? (await planNode(group, joining.index, seat, this.#plan))
    await this.options.recorded()
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
    await this.options.recorded(force)
    const node = group.nodeAt(index)
    if (node !== undefined) {
      group.dismiss(node)
      // Where nobody hears it there is nothing to wait for.
      await node.stop(this.options.stopTimeoutMs, node.doubt === undefined ? force : AbortSignal.abort())
      this.#supervisors.delete(node)
    }
    // Its machine may be gone for good, and its name is nobody's any more: it is removed when that is heard again.
    await this.#turns.take(async () => {
      const stays = await removeLeaver({ shard: group.shard, index }, this.#leftoverDeps)
      // Together: a sweep in between would not take it for a leftover yet, and forget that it is to be looked for.
      await group.change(withoutLeaver)
      if (stays !== undefined) this.#note([...this.#stay, stays])
    })
  }

  /** Rejects with a StartFault unless there is a machine now for one more node of the group. */
  expectSeat(group: Group, seat: Seat): Promise<void> {
    return expectSeat(group, seat, this.#plan)
  }

  /** Where these would go if they were made now, and on which machines nodes can be. Rejects with a StartFault when there is none. */
  foresee(places: readonly NodePlace[]): Promise<Prospect> {
    return foresee(places, this.#plan)
  }

  /** From now on a new group has so many nodes. Every group has already. */
  async setReplicas(replicas: number): Promise<void> {
    if (this.record.replicas !== replicas) await this.#reshape({ replicas })
  }

  /** Throws a StartFault unless there is room for so many shards. */
  expectRoom(shards: number): void {
    const records = this.all.map(({ record }) => record).filter((record) => record !== undefined)
    expectRoomFor(placesFrom(0, { ...this.record, shards }, records, this.#stay), this.options)
  }

  /** Throws a StartFault unless there is room for so many more nodes in each group. */
  expectRoomForMore(nodes: number): void {
    const places = this.all.flatMap(({ shard, record }) =>
      Array.from({ length: nodes }, (_, at) => ({ shard, index: (record?.lastIndex ?? 0) + at + 1 })),
    )
    expectRoomFor(places, this.options)
  }

  get #plan(): PlanOptions {
    return { ...this.#leftoverDeps, supervisors: this.#supervisors }
  }

  get #leftoverDeps() {
    return { ...this.options, clusterId: this.record.clusterId }
  }

  #note(stay: readonly NodeRecord[]): void {
    const before = new Set(this.#stay.map(nodeName))
    const fresh = stay.filter((node) => !before.has(nodeName(node)))
    this.#stay = stay
    if (fresh.length === 0) return
    const machines = [...new Set(fresh.map(({ machine = '' }) => machine))].join(', ')
    this.options.telemetry.emit('leftovers.stay', { nodes: fresh.map(nodeName), machines })
  }

  async #reshape(change: Partial<ClusterRecord>): Promise<void> {
    const record = { ...this.record, ...change }
    await this.options.registry.setCluster(record)
    this.record = record
    await this.options.recorded()
  }

  /** Before something is done that whoever runs the nodes next must know of. */
  recorded(signal: AbortSignal): Promise<void> {
    return this.options.recorded(signal)
  }
}

/**
 * Up to `needed` everything. A further group is an operation's, which makes it, and so is a node that joins: where that has not
 * come so far, a machine that is missing for it keeps nobody from starting.
 */
async function placesToStart(
  record: ClusterRecord,
  needed: number,
  left: readonly NodePlace[],
  registry: Registry,
): Promise<NodePlace[]> {
  const groups = await registry.groups()
  const joiners = groups.flatMap(({ shard, joining }) =>
    joining === undefined ? [] : [nodeName({ shard, ...joining })],
  )
  const planned = new Set((await registry.nodes()).map(nodeName))
  const isBegun = (place: NodePlace) => planned.has(nodeName(place)) || !joiners.includes(nodeName(place))
  const places = placesFrom(0, record, groups, left).filter(isBegun)
  const first = places.find((place) => place.shard > needed && !planned.has(nodeName(place)))
  return first === undefined ? places : places.filter(({ shard }) => shard < first.shard)
}

/** Nodes that have data already need no room to begin with. */
function expectRoomFor(
  places: readonly NodePlace[],
  { driver, directory }: Pick<FleetOptions, 'driver' | 'directory'>,
) {
  driver.expectRoom(places, directory)
}
