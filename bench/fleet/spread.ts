// Which machine each node runs on: as the orchestrator chooses them for a new cluster, and by two rules of the model's own.
import { chooseMachines } from '../../orchestrator/control/machines.js'
import type { Rng } from '../../orchestrator/core/rng.js'

/** `random`: machines differ. `racks`: racks differ as well, as far as there are enough. `chosen`: by chooseMachines. */
export type Policy = 'random' | 'racks' | 'chosen'

export const POLICIES: readonly Policy[] = ['random', 'racks', 'chosen']

export interface Site {
  readonly machines: number
  readonly racks: number
}

/** Element g: the machines of group g's nodes, from 0. Group 0 is meta. */
export type Spread = readonly (readonly number[])[]

export function rackOf(machine: number, racks: number): number {
  return machine % racks
}

/** Each node goes to a machine that is allowed and has fewest; among equals chance decides. */
export function spread(groups: number, replicas: number, site: Site, policy: Policy, rng: Rng): Spread {
  if (policy === 'chosen') return chosen(groups, replicas, site).map((machines) => shuffled(machines, rng))
  const loads = Array<number>(site.machines).fill(0)
  return Array.from({ length: groups }, () => {
    const chosen: number[] = []
    while (chosen.length < replicas) {
      const machine = leastLoaded(loads, (one) => mayJoin(one, chosen, replicas, site, policy), rng)
      if (machine === undefined) throw new TypeError(`${site.machines} machines are too few for ${replicas} replicas`)
      chosen.push(machine)
      loads[machine] = (loads[machine] ?? 0) + 1
    }
    return shuffled(chosen, rng)
  })
}

/** What was chosen, for as long as the process lives: it takes long, and is always the same. */
const CHOSEN = new Map<string, Spread>()

/** A rack is a zone. */
function chosen(groups: number, replicas: number, { machines, racks }: Site): Spread {
  const question = [groups, replicas, machines, racks].join()
  const known = CHOSEN.get(question)
  if (known !== undefined) return known
  const names = Array.from({ length: machines }, (_, machine) => `m${`${machine}`.padStart(6, '0')}`)
  const all = names.map((name, machine) => ({ name, zone: `${rackOf(machine, racks)}` }))
  const places = Array.from({ length: groups * replicas }, (_, at) => ({
    shard: Math.floor(at / replicas),
    index: (at % replicas) + 1,
  }))
  const answer: number[][] = Array.from({ length: groups }, () => [])
  for (const { shard, machine } of chooseMachines(places, all, [])) answer[shard]?.push(names.indexOf(machine))
  CHOSEN.set(question, answer)
  return answer
}

/** Whether one more node of a group may run there, beside those that it has. */
export function mayJoin(
  machine: number,
  others: readonly number[],
  replicas: number,
  { racks, machines }: Site,
  policy: Policy,
): boolean {
  if (others.includes(machine)) return false
  if (policy === 'random') return true
  const beside = others.filter((other) => rackOf(other, racks) === rackOf(machine, racks)).length
  return beside < Math.ceil(replicas / Math.min(racks, machines))
}

export function leastLoaded(
  loads: readonly number[],
  allowed: (machine: number) => boolean,
  rng: Rng,
): number | undefined {
  let least = Number.POSITIVE_INFINITY
  let ties: number[] = []
  for (const [machine, load] of loads.entries()) {
    if (load > least || !allowed(machine)) continue
    if (load < least) ties = []
    least = load
    ties.push(machine)
  }
  return ties[Math.floor(rng.float() * ties.length)]
}

/** The first of a group leads in the model: chance, as elections have it. */
function shuffled(all: readonly number[], rng: Rng): number[] {
  const keys = all.map((one) => ({ one, at: rng.float() }))
  return keys.sort((a, b) => a.at - b.at).map(({ one }) => one)
}
