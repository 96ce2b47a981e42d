// What is lost when machines fail at once: groups without a majority, and groups of which no replica is left.
import { type Rng, seededRng } from '../../orchestrator/core/rng.js'
import type { Fleet } from './inputs.js'
import { type Section, shownNumber } from './section.js'
import { type Policy, rackOf, type Spread, spread } from './spread.js'

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
    Array.from({ length: TRIALS }, () => lostWith(groups, failedIn(fleet, disaster, rng))),
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
  const make = (_: unknown, at: number) =>
    spread(shards + 1, replicas, { machines, racks }, policy, seededRng(seed + at))
  return Array.from({ length: count }, make)
}

export function lossSection(fleet: Fleet): Section {
  const policies: readonly Policy[] = ['random', 'racks']
  const spreads = new Map(policies.map((policy) => [policy, spreadsOf(fleet, policy)]))
  return {
    title: `Machines that are lost at once (${fleet.machines} in ${fleet.racks} racks; ${PLACEMENTS * TRIALS} trials each)`,
    head: ['lost for good', ...policies.flatMap((policy) => [`${policy}: no majority`, 'most', 'data lost in'])],
    rows: DISASTERS.map((disaster) => [
      disaster.name,
      ...policies.flatMap((policy) => {
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
