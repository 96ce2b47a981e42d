import { existsSync } from 'node:fs'
import type { Clock } from '../core/clock.js'
import type { Telemetry } from '../telemetry/index.js'
import { type DataDirectory, groupName, type NodePlace, nodeName } from './data-directory.js'
import type { Driver } from './drivers/driver.js'
import { Group } from './group.js'
import type { Links } from './links.js'
import type { NodeRecord, Registry } from './registry.js'
import { placesOf, type Shape } from './shape.js'
import { Supervisor } from './supervisor.js'

export interface PlanOptions {
  readonly directory: DataDirectory
  readonly registry: Registry
  readonly clusterId: string
  readonly shape: Shape
  readonly driver: Driver
  readonly links: Links
  readonly telemetry: Telemetry
  readonly clock: Clock
  /** A node listens on another address than before. */
  readonly moved: () => void
}

/** The cluster's groups as the registry has them, meta first; what it lacks is chosen and written down. */
export async function planGroups(options: PlanOptions): Promise<Group[]> {
  const places = placesOf(options.shape)
  const records = await recordsFor(places, options)
  options.directory.expectRoom(places.filter((place) => !existsSync(options.directory.node(place))).length)
  const known = new Map((await options.registry.groups()).map((record) => [record.shard, record]))
  const supervisors: Supervisor[] = []
  // Not one that is a node's, even if that is down and nobody listens there now.
  const free = () => freeAddress(options.driver, new Set(supervisors.map(({ address }) => address)))
  return [...new Set(places.map(({ shard }) => shard))].map((shard) => {
    const nodes: Supervisor[] = []
    const deps = { ...options, record: options.registry.setGroup.bind(options.registry) }
    const group = new Group(shard, known.get(shard), deps, nodes)
    for (const record of records.filter((one) => one.shard === shard)) {
      nodes.push(supervise(record, group, options, free))
    }
    supervisors.push(...nodes)
    return group
  })
}

async function recordsFor(places: readonly NodePlace[], { registry, driver }: PlanOptions): Promise<NodeRecord[]> {
  const known = new Map((await registry.nodes()).map((record) => [nodeName(record), record]))
  const taken = new Set([...known.values()].map(({ address }) => address))
  const fresh: NodeRecord[] = []
  for (const place of places) {
    if (known.has(nodeName(place))) continue
    const address = await freeAddress(driver, taken)
    taken.add(address)
    fresh.push({ ...place, address })
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

function supervise(record: NodeRecord, group: Group, options: PlanOptions, free: () => Promise<string>): Supervisor {
  const spec = {
    shard: record.shard,
    index: record.index,
    name: nodeName(record),
    clusterId: options.clusterId,
    directory: options.directory.node(record),
    ofNodes: placesOf(options.shape).length,
  }
  return new Supervisor(spec, record, {
    driver: options.driver,
    freeAddress: free,
    links: options.links,
    telemetry: options.telemetry,
    clock: options.clock,
    record: (changed) => options.registry.setNodes([changed]),
    peers: () => group.members ?? [],
    isMember: () => group.members !== undefined,
    changed: () => group.changed(),
    moved: options.moved,
  })
}

/** What a start says first. */
export function describePlan({ shards, replicas }: Shape): string {
  return `starting ${(shards + 1) * replicas} nodes: ${shards} x ${replicas} for the data, ${replicas} for ${groupName(0)}`
}
