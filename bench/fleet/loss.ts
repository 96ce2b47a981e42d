// What is lost when machines fail at once: groups without a majority, and groups of which no replica is left.
import { type Rng, seededRng } from '../../orchestrator/core/rng.js'
import type { Fleet } from './inputs.js'
import { type Section, shownNumber } from './section.js'
import { POLICIES, type Policy, rackOf, type Spread, spread } from './spread.js'

export interface Lost {
  /** Groups that cannot serve, those of which nothing is left included. */
  readonly majority: number
  readonly all: number
}

export function lostWith(groups: Spread, failed: ReadonlySet<number>): Lost {
  let majority = 0
  let all = 0
  for (const machines of groups) {
    const left = machines.filter((machine) => !failed.has(machine)).length
    if (2 * left <= machines.length) majority++
    if (left === 0) all++
  }
  return { majority, all }
}

interface Disaster {
  readonly name: string
  readonly racks: number
  readonly machines: number
}

const DISASTERS: readonly Disaster[] = [
  { name: '2 machines', racks: 0, machines: 2 },
  { name: '3 machines', racks: 0, machines: 3 },
  { name: '5 machines', racks: 0, machines: 5 },
  { name: '1 rack', racks: 1, machines: 0 },
  { name: '1 rack and 1 machine', racks: 1, machines: 1 },
  { name: '1 rack and 2 machines', racks: 1, machines: 2 },
  { name: '2 racks', racks: 2, machines: 0 },
]

/** Placements of the fleet, and disasters in each. */
const PLACEMENTS = 20
const TRIALS = 100

function drawn(rng: Rng, below: number, count: number, taken: ReadonlySet<number> = new Set()): Set<number> {
  const chosen = new Set<number>()
  while (chosen.size < Math.min(count, below - taken.size)) {
    const one = Math.floor(rng.float() * below)
    if (!taken.has(one)) chosen.add(one)
  }
  return chosen
}

/** The machines of so many racks, and so many others, by chance. */
function failedIn({ machines, racks }: Fleet, disaster: Disaster, rng: Rng): Set<number> {
  const dark = drawn(rng, racks, disaster.racks)
  const all = Array.from({ length: machines }, (_, machine) => machine)
  const failed = new Set(all.filter((machine) => dark.has(rackOf(machine, racks))))
  return new Set([...failed, ...drawn(rng, machines, disaster.machines, failed)])
}

interface Risk {
  readonly majority: number
  readonly majorityMost: number
  /** The share of the trials in which a group lost all of its replicas. */
  readonly data: number
}

function riskOf(fleet: Fleet, disaster: Disaster, spreads: readonly Spread[]): Risk {
  const rng = seededRng(fleet.seed)
  const trials = spreads.flatMap((groups) =>
    Array.from({ length: (PLACEMENTS * TRIALS) / spreads.length }, () =>
      lostWith(groups, failedIn(fleet, disaster, rng)),
    ),
  )
  return {
    majority: trials.reduce((sum, { majority }) => sum + majority, 0) / trials.length,
    majorityMost: Math.max(...trials.map(({ majority }) => majority)),
    data: trials.filter(({ all }) => all > 0).length / trials.length,
  }
}

/** Of the groups of a fleet, meta's included. */
export function spreadsOf(fleet: Fleet, policy: Policy, count = PLACEMENTS): Spread[] {
  const { shards, replicas, machines, racks, seed } = fleet
  // One: it is always the same.
  if (policy === 'chosen') return [spread(shards + 1, replicas, { machines, racks }, policy, seededRng(seed))]
  const make = (_: unknown, at: number) =>
    spread(shards + 1, replicas, { machines, racks }, policy, seededRng(seed + at))
  return Array.from({ length: count }, make)
}

export function lossSection(fleet: Fleet): Section {
  const spreads = new Map(POLICIES.map((policy) => [policy, spreadsOf(fleet, policy)]))
  return {
    title: `Machines that are lost at once (${fleet.machines} in ${fleet.racks} racks; ${PLACEMENTS * TRIALS} trials each)`,
    head: ['lost for good', ...POLICIES.flatMap((policy) => [`${policy}: no majority`, 'most', 'data lost in'])],
    rows: DISASTERS.map((disaster) => [
      disaster.name,
      ...POLICIES.flatMap((policy) => {
        const risk = riskOf(fleet, disaster, spreads.get(policy) ?? [])
        return [risk.majority, risk.majorityMost, `${shownNumber(100 * risk.data)} %`]
      }),
    ]),
    notes: [
      '"no majority": groups of the fleet, on the average, that serve nothing until machines come back; "data lost": some group has no ' +
        'replica left. Against single machines racks help nothing, since as many sets of three are in use: fewer sets (copysets) would.',
    ],
  }
}

/** How many sets of machines hold all replicas of some group, and how many others each machine shares a group with. */
export function setsOf(
  groups: Spread,
  machines: number,
): { readonly sets: number; readonly partners: readonly number[] } {
  const partners = Array.from({ length: machines }, () => new Set<number>())
  for (const all of groups) for (const one of all) for (const other of all) partners[one]?.add(other)
  return {
    sets: new Set(groups.map((all) => [...all].sort((a, b) => a - b).join())).size,
    partners: partners.map(({ size }) => Math.max(0, size - 1)),
  }
}

export function spreadSection(fleet: Fleet): Section {
  return {
    title: `Nodes on ${fleet.machines} machines in ${fleet.racks} racks`,
    head: ['spread', 'nodes of a machine', 'sets of machines', 'machines that it shares groups with'],
    rows: POLICIES.map((policy) => {
      const [groups = []] = spreadsOf(fleet, policy, 1)
      const loads = Array<number>(fleet.machines).fill(0)
      for (const machine of groups.flat()) loads[machine] = (loads[machine] ?? 0) + 1
      const { sets, partners } = setsOf(groups, fleet.machines)
      return [policy, range(loads), sets, range(partners)]
    }),
    notes: [
      '`chosen` is chooseMachines (orchestrator/control/machines.ts) asked for a new cluster. Few sets: few ways for three machines to ' +
        'hold all of a group, but few machines from which one that is lost can be copied.',
    ],
  }
}

function range(all: readonly number[]): string {
  return `${Math.min(...all)} to ${Math.max(...all)}`
}
