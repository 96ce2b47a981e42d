import { groupName, type NodePlace } from './data-directory.js'

/** Where nodes can run. What shares a zone may be lost together: a rack, a room, a supply. */
export interface Machine {
  readonly name: string
  readonly zone: string
}

/** The name of the one that the orchestrator runs on. No agent may have it. */
export const THIS_MACHINE = 'localhost'

/** The name of all those that somebody else starts nodes on: where they are is not ours to choose, or to know. */
export const ELSEWHERE = 'elsewhere'

/** A node and its machine. */
export interface Placed extends NodePlace {
  readonly machine: string
}

/**
 * The machines of new nodes. Replicas of a shard go to different machines, and to different zones, as far as there are so
 * many; among those to where fewest nodes are. A pure function: the same question has the same answer. What is `placed`
 * stays where it is, also on machines that are not among these.
 */
export function chooseMachines(
  places: readonly NodePlace[],
  machines: readonly Machine[],
  placed: readonly Placed[],
): Placed[] {
  if (machines.length === 0 && places.length > 0) throw new TypeError('no machine to place a node on')
  const sorted = [...machines].sort((a, b) => (a.name < b.name ? -1 : 1))
  const counts = new Counts(machines)
  for (const one of placed) counts.add(one)
  return places.map((place) => {
    const chosen = { ...place, machine: best(place, sorted, counts).name }
    counts.add(chosen)
    return chosen
  })
}

/** How many nodes there are of what. Kept, because counting anew for each node takes as long as there are nodes. */
class Counts {
  readonly #zones: ReadonlyMap<string, string>
  /** By machine. */
  readonly #nodes = new Map<string, number>()
  /** By shard: by machine, and by zone. */
  readonly #siblings = new Map<number, { readonly on: Map<string, number>; readonly in: Map<string, number> }>()

  constructor(machines: readonly Machine[]) {
    this.#zones = new Map(machines.map(({ name, zone }) => [name, zone]))
  }

  add({ shard, machine }: Placed): void {
    const siblings = this.#siblings.get(shard) ?? { on: new Map(), in: new Map() }
    this.#siblings.set(shard, siblings)
    increment(this.#nodes, machine)
    increment(siblings.on, machine)
    // Where a machine is that does not answer now is not known.
    const zone = this.#zones.get(machine)
    if (zone !== undefined) increment(siblings.in, zone)
  }

  nodesOn(machine: string): number {
    return this.#nodes.get(machine) ?? 0
  }

  siblingsOn(machine: string, shard: number): number {
    return this.#siblings.get(shard)?.on.get(machine) ?? 0
  }

  siblingsIn(zone: string, shard: number): number {
    return this.#siblings.get(shard)?.in.get(zone) ?? 0
  }
}

function increment(counts: Map<string, number>, what: string): void {
  counts.set(what, (counts.get(what) ?? 0) + 1)
}

function best({ shard }: NodePlace, machines: readonly Machine[], counts: Counts): Machine {
  const costs = ({ name, zone }: Machine, at: number) => [
    counts.siblingsOn(name, shard),
    counts.siblingsIn(zone, shard),
    counts.nodesOn(name),
    // First replicas tend to lead: those of different shards begin at different machines.
    (at + machines.length - (shard % machines.length)) % machines.length,
  ]
  const ranked = machines.map((machine, at) => ({ machine, costs: costs(machine, at) }))
  return ranked.reduce((a, b) => (isLess(b.costs, a.costs) ? b : a)).machine
}

function isLess(a: readonly number[], b: readonly number[]): boolean {
  const at = a.findIndex((cost, index) => cost !== b[index])
  return at >= 0 && (a[at] ?? 0) < (b[at] ?? 0)
}

/**
 * What would be lost with one machine, or one zone, although a shard has replicas enough to lose one; undefined if no
 * shard's majority depends on it. For people.
 */
export function riskOf(placed: readonly Placed[], machines: readonly Machine[]): string | undefined {
  const zones = new Map(machines.map(({ name, zone }) => [name, zone]))
  const byMachine = stoppedBy(placed, ({ machine }) => machine)
  const several = new Set(zones.values()).size > 1
  const byZone = several ? stoppedBy(placed, ({ machine }) => zones.get(machine)) : new Map<string, number[]>()
  const words = (what: string, lost: ReadonlyMap<string, readonly number[]>) =>
    [...lost].map(([name, shards]) => `${what} ${name} stops ${shards.map(groupName).join(', ')}`)
  const risks = byMachine.size > 0 ? words('the loss of machine', byMachine) : words('the loss of zone', byZone)
  return risks.length === 0 ? undefined : risks.join('; ')
}

/** Which shards have no majority without it, by what would be lost. One or two replicas survive no loss anywhere. */
function stoppedBy(placed: readonly Placed[], partOf: (one: Placed) => string | undefined): Map<string, number[]> {
  const stopped = new Map<string, number[]>()
  for (const shard of new Set(placed.map((one) => one.shard))) {
    const nodes = placed.filter((one) => one.shard === shard)
    for (const part of new Set(nodes.map(partOf))) {
      const left = nodes.filter((one) => partOf(one) !== part).length
      if (part === undefined || nodes.length < 3 || left * 2 > nodes.length) continue
      stopped.set(part, [...(stopped.get(part) ?? []), shard])
    }
  }
  return stopped
}
