import type { Clock } from '../core/clock.js'
import type { Telemetry } from '../telemetry/index.js'
import { type DataDirectory, groupName, type NodePlace, nodeName } from './data-directory.js'
import type { Driver, NodeSpec } from './drivers/driver.js'
import { StartFault } from './faults.js'
import { Group } from './group.js'
import type { Links } from './links.js'
import { chooseMachines, ELSEWHERE, type Machine, type Placed, riskOf, THIS_MACHINE } from './machines.js'
import { isSpent } from './membership.js'
import type { NodeRecord, Registry } from './registry.js'
import { nodesOf, type Shape } from './shape.js'
import { Supervisor } from './supervisor.js'

export interface PlanOptions {
  readonly directory: DataDirectory
  readonly registry: Registry
  readonly clusterId: string
  /** The nodes that are planned already; the new ones are added. */
  readonly supervisors: Set<Supervisor>
  readonly driver: Driver
  readonly links: Links
  readonly telemetry: Telemetry
  readonly clock: Clock
  /** A node listens on another address than before. */
  readonly moved: () => void
}

/** The groups of these places as the registry has them, in their order; what it lacks is chosen and written down. */
export async function planGroups(places: readonly NodePlace[], options: PlanOptions): Promise<Group[]> {
  const { registry, driver, supervisors } = options
  const records = await recordsFor(places, {}, options)
  const known = new Map((await registry.groups()).map((record) => [record.shard, record]))
  // Not one that is a node's, even if that is down and nobody listens there now.
  const free = (node: Placed) => freeAddress(driver, node, new Set([...supervisors].map((one) => one.address)))
  const everywhere = (await registry.nodes()).map(placedOf)
  const beside = ({ machine }: Placed) => everywhere.filter((one) => one.machine === machine).length
  return [...new Set(places.map(({ shard }) => shard))].map((shard) => {
    const group = new Group(shard, known.get(shard), { ...options, record: registry.setGroup.bind(registry) })
    for (const record of records.filter((one) => one.shard === shard)) {
      const node = supervise(record, group, options, beside(placedOf(record)), free)
      group.admit(node)
      supervisors.add(node)
    }
    return group
  })
}

/** What is asked of the machine of a node that comes to a group. */
export interface Seat {
  /** The node whose place it takes: it counts as gone already. */
  readonly insteadOf?: number
  /** Never one that has another node of the group. */
  readonly apart?: boolean
}

/** Throws a StartFault unless there is a machine now for one more node of the group. */
export async function expectSeat({ shard }: Group, seat: Seat, options: PlanOptions): Promise<void> {
  const places = [{ shard, index: 0 }]
  await machinesFor(places, await staying(places, seat, options), seat, options)
}

/** One more node of a group that is there. Rejects with a StartFault when there is no machine for it now. */
export async function planNode(group: Group, index: number, seat: Seat, options: PlanOptions): Promise<Supervisor> {
  const { registry, driver, supervisors } = options
  const [record] = await recordsFor([{ shard: group.shard, index }], seat, options)
  if (record === undefined) throw new TypeError(`no record of node ${index} of ${group.name}`)
  const free = (node: Placed) => freeAddress(driver, node, new Set([...supervisors].map((one) => one.address)))
  const { machine } = placedOf(record)
  const beside = (await registry.nodes()).filter((one) => placedOf(one).machine === machine).length
  const node = supervise(record, group, options, beside, free)
  group.admit(node)
  supervisors.add(node)
  return node
}

/** Where nodes go, and the machines that they were chosen from. */
export interface Prospect {
  readonly chosen: readonly Placed[]
  readonly machines: readonly Machine[]
}

/** The same choice as for nodes that are made, of which nothing is written down. Rejects as planNode does. */
export async function foresee(places: readonly NodePlace[], options: PlanOptions): Promise<Prospect> {
  return machinesFor(places, await staying(places, {}, options), {}, options)
}

async function recordsFor(places: readonly NodePlace[], seat: Seat, options: PlanOptions): Promise<NodeRecord[]> {
  const { registry, driver } = options
  const known = new Map((await registry.nodes()).map((record) => [nodeName(record), record]))
  const taken = new Set([...known.values()].map(({ address }) => address))
  const program = (await registry.cluster())?.program
  const absent = places.filter((place) => !known.has(nodeName(place)))
  const fresh: NodeRecord[] = []
  const there = await staying(places, seat, options)
  const { chosen, machines } = await machinesFor(absent, there, seat, options)
  if (chosen.length > 0) tellRisk(chosen, there, machines, options)
  for (const placed of chosen) {
    const address = await freeAddress(driver, placed, taken)
    taken.add(address)
    fresh.push({ ...placed, address, program })
  }
  if (fresh.length > 0) await registry.setNodes(fresh)
  for (const record of fresh) known.set(nodeName(record), record)
  return places.map((place) => known.get(nodeName(place))).filter((record) => record !== undefined)
}

/** Who counts when a machine is chosen for these: neither nodes that are left over, nor one that gives up its place. */
async function staying(
  places: readonly NodePlace[],
  { insteadOf }: Seat,
  { registry }: Pick<PlanOptions, 'registry'>,
): Promise<Placed[]> {
  const groups = new Map((await registry.groups()).map((record) => [record.shard, record]))
  const concerned = new Set(places.map(({ shard }) => shard))
  const goes = ({ shard, index, left }: NodeRecord) => {
    const group = groups.get(shard)
    return left || (group !== undefined && isSpent(group, index)) || (concerned.has(shard) && index === insteadOf)
  }
  return (await registry.nodes()).filter((node) => !goes(node)).map(placedOf)
}

/** Chosen once: from then on a node is where its data is. */
async function machinesFor(
  places: readonly NodePlace[],
  there: readonly Placed[],
  { apart = false }: Seat,
  { driver, registry }: Pick<PlanOptions, 'driver' | 'registry'>,
): Promise<Prospect> {
  if (places.length === 0) return { chosen: [], machines: [] }
  const sizes = new Map<number, number>()
  for (const { shard } of [...there, ...places]) sizes.set(shard, (sizes.get(shard) ?? 0) + 1)
  const drained = new Set((await registry.drained()).machines)
  const wanted = Math.max(...places.map(({ shard }) => sizes.get(shard) ?? 0))
  const machines = (await driver.machines(wanted)).filter(({ name }) => !drained.has(name))
  if (machines.length === 0) throw new StartFault('every machine is drained: kvorum node undrain --machine one of them')
  const chosen = chooseMachines(places, machines, there)
  const isBeside = (one: Placed) => there.some(({ shard, machine }) => shard === one.shard && machine === one.machine)
  const beside = apart ? chosen.find(isBeside) : undefined
  if (beside === undefined) return { chosen, machines }
  throw new StartFault(`every machine that answers has a node of ${groupName(beside.shard)} already`)
}

/** Says so if where nodes are makes a shard less safe than its replicas would. */
function tellRisk(
  chosen: readonly Placed[],
  there: readonly Placed[],
  machines: readonly Machine[],
  { telemetry }: Pick<PlanOptions, 'telemetry'>,
): void {
  const shards = new Set(chosen.map(({ shard }) => shard))
  const concerned = [...there, ...chosen].filter(({ shard }) => shards.has(shard))
  const risk = riskOf(concerned, machines)
  // Whoever runs everything on one machine, or places nodes himself, knows it.
  const isOurs = machines.some(({ name }) => name !== THIS_MACHINE && name !== ELSEWHERE)
  if (risk !== undefined && isOurs) telemetry.emit('machines.few', { risk })
}

function placedOf({ shard, index, machine = THIS_MACHINE }: NodeRecord): Placed {
  return { shard, index, machine }
}

async function freeAddress(driver: Driver, placed: Placed, taken: ReadonlySet<string>): Promise<string> {
  for (;;) {
    const address = await driver.freeAddress(placed.machine, placed)
    if (!taken.has(address)) return address
  }
}

/** What a node is to be, on a machine where so many run. */
export function specOf(
  record: NodeRecord,
  { clusterId, directory, driver }: Pick<PlanOptions, 'clusterId' | 'directory' | 'driver'>,
  ofNodes: number,
): NodeSpec {
  const { shard, index, machine } = placedOf(record)
  const path = driver.directoryOf(record, machine, directory)
  return { shard, index, name: nodeName(record), clusterId, machine, directory: path, ofNodes }
}

function supervise(
  record: NodeRecord,
  group: Group,
  options: PlanOptions,
  ofNodes: number,
  free: (node: Placed) => Promise<string>,
): Supervisor {
  const spec = specOf(record, options, ofNodes)
  return new Supervisor(spec, record, {
    driver: options.driver,
    freeAddress: () => free(spec),
    links: options.links,
    telemetry: options.telemetry,
    clock: options.clock,
    record: (changed) => options.registry.setNodes([changed]),
    pathOf: (program) => options.directory.program(program),
    peers: () => group.peers,
    isMember: () => group.idOf(record.index) !== undefined,
    changed: () => group.changed(),
    moved: options.moved,
  })
}

/** What a start says first. */
export function describePlan(shape: Shape): string {
  const { shards, replicas } = shape
  return `starting ${nodesOf(shape)} nodes: ${shards} x ${replicas} for the data, ${replicas} for ${groupName(0)}`
}
