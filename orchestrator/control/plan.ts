import type { Clock } from '../core/clock.js'
import type { Telemetry } from '../telemetry/index.js'
import { type DataDirectory, groupName, type NodePlace, nodeName } from './data-directory.js'
import type { Driver, NodeSpec } from './drivers/driver.js'
import { Group } from './group.js'
import type { Links } from './links.js'
import type { NodeRecord, Registry } from './registry.js'
import { nodesOf, type Shape } from './shape.js'
import { Supervisor } from './supervisor.js'

export interface PlanOptions {
  readonly directory: DataDirectory
  readonly registry: Registry
  readonly clusterId: string
  /** How many nodes run on this machine. */
  readonly ofNodes: number
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
  const records = await recordsFor(places, options)
  const known = new Map((await registry.groups()).map((record) => [record.shard, record]))
  // Not one that is a node's, even if that is down and nobody listens there now.
  const free = () => freeAddress(driver, new Set([...supervisors].map(({ address }) => address)))
  return [...new Set(places.map(({ shard }) => shard))].map((shard) => {
    const group = new Group(shard, known.get(shard), { ...options, record: registry.setGroup.bind(registry) })
    for (const record of records.filter((one) => one.shard === shard)) {
      const node = supervise(record, group, options, free)
      group.admit(node)
      supervisors.add(node)
    }
    return group
  })
}

/** One more node of a group that is there. */
export async function planNode(group: Group, index: number, options: PlanOptions): Promise<Supervisor> {
  const { driver, supervisors } = options
  const [record] = await recordsFor([{ shard: group.shard, index }], options)
  if (record === undefined) throw new TypeError(`no record of node ${index} of ${group.name}`)
  const free = () => freeAddress(driver, new Set([...supervisors].map(({ address }) => address)))
  const node = supervise(record, group, options, free)
  group.admit(node)
  supervisors.add(node)
  return node
}

async function recordsFor(places: readonly NodePlace[], { registry, driver }: PlanOptions): Promise<NodeRecord[]> {
  const known = new Map((await registry.nodes()).map((record) => [nodeName(record), record]))
  const taken = new Set([...known.values()].map(({ address }) => address))
  const program = (await registry.cluster())?.program
  const fresh: NodeRecord[] = []
  for (const place of places) {
    if (known.has(nodeName(place))) continue
    const address = await freeAddress(driver, taken)
    taken.add(address)
    fresh.push({ ...place, address, program })
  }
  if (fresh.length > 0) await registry.setNodes(fresh)
  for (const record of fresh) known.set(nodeName(record), record)
  return places.map((place) => known.get(nodeName(place))).filter((record) => record !== undefined)
}

async function freeAddress(driver: Driver, taken: ReadonlySet<string>): Promise<string> {
  for (;;) {
    const address = await driver.freeAddress()
    if (!taken.has(address)) return address
  }
}

/** What a node is to be. */
export function specOf(
  place: NodePlace,
  { clusterId, directory, ofNodes }: Pick<PlanOptions, 'clusterId' | 'directory' | 'ofNodes'>,
): NodeSpec {
  const { shard, index } = place
  return { shard, index, name: nodeName(place), clusterId, directory: directory.node(place), ofNodes }
}

function supervise(record: NodeRecord, group: Group, options: PlanOptions, free: () => Promise<string>): Supervisor {
  return new Supervisor(specOf(record, options), record, {
    driver: options.driver,
    freeAddress: free,
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
