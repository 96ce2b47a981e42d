// A rack falls silent: which leaders are missed, and when the others have been elected.
import { type Rng, seededRng } from '../../orchestrator/core/rng.js'
import { type Fleet, KNOWN } from './inputs.js'
import { lostWith, spreadsOf } from './loss.js'
import type { Section } from './section.js'
import { POLICIES, rackOf, type Spread } from './spread.js'

/** A vote: a message, an fsync, an answer. Whoever campaigns within it of another may split the votes. */
const VOTE_MS = 5

/**
 * When a follower notices, in ms after the leader's last heartbeat. hashicorp/raft looks once per timer of 1 to 2 times the
 * silence that it allows; the timer's phase is chance: so it has run for a while.
 */
export function noticesAfter(rng: Rng): number {
  const silence = KNOWN.silence.value
  const length = () => silence * (1 + rng.float())
  let at = -10 * silence * rng.float()
  while (at < silence) at += length()
  return at
}

/** Ms from the loss of a leader to the next, with so many followers that are left. The first that notices is elected. */
export function electionMs(followers: number, rng: Rng): number {
  // The last heartbeat was some of its interval ago.
  const ago = rng.float() * KNOWN.heartbeat.value * 1000
  const times = Array.from({ length: followers }, () => noticesAfter(rng)).sort((a, b) => a - b)
  const [first = Number.POSITIVE_INFINITY, second = Number.POSITIVE_INFINITY] = times
  // Split: both wait for an election's time-out, which is drawn as the silence is.
  const waits = times.map(() => KNOWN.silence.value * (1 + rng.float()))
  const again = second - first < VOTE_MS ? Math.min(...waits) : 0
  return first - ago + VOTE_MS + again
}

export interface Outage {
  readonly nodes: number
  readonly leaders: number
  readonly majority: number
  readonly all: number
  /** Sorted; of the shards that lost their leader and can have another. */
  readonly elections: readonly number[]
  /** New elections on the machine that has most of them. */
  readonly most: number
}

export function rackLost(groups: Spread, racks: number, rack: number, seed: number): Outage {
  const rng = seededRng(seed)
  const isGone = (machine: number) => rackOf(machine, racks) === rack
  const led = groups.filter(([leader = -1]) => isGone(leader))
  const left = led.map((all) => all.filter((machine) => !isGone(machine)))
  const electing = left.filter((some, at) => 2 * some.length > (led[at]?.length ?? 0))
  const perMachine = new Map<number, number>()
  for (const machine of electing.flat()) perMachine.set(machine, (perMachine.get(machine) ?? 0) + 1)
  const failed = new Set(groups.flat().filter(isGone))
  return {
    nodes: groups.flat().filter(isGone).length,
    leaders: led.length,
    ...lostWith(groups, failed),
    elections: electing.map((some) => electionMs(some.length, rng)).sort((a, b) => a - b),
    most: Math.max(0, ...perMachine.values()),
  }
}

export function electionSection(fleet: Fleet): Section {
  const at = (times: readonly number[], share: number) => times[Math.floor((times.length - 1) * share)] ?? Number.NaN
  return {
    title: 'A rack falls silent (nothing is closed: time-outs decide)',
    head: [
      'nodes spread',
      'nodes',
      'leaders',
      'no majority',
      'nothing left',
      'elected',
      'p50 ms',
      'p99',
      'longest',
      'most on a machine',
    ],
    rows: POLICIES.map((policy) => {
      const [groups = []] = spreadsOf(fleet, policy, 1)
      const { nodes, leaders, majority, all, elections, most } = rackLost(groups, fleet.racks, 0, fleet.seed)
      const times = [0.5, 0.99, 1].map((share) => Math.round(at(elections, share)))
      return [policy, nodes, leaders, majority, all, elections.length, ...times, most]
    }),
    notes: [
      `One shard after SIGSTOP, measured: up to ${KNOWN.failover.value} ms without service. Machines that restart orderly, or whose ` +
        'processes die, close connections: 12 to 30 ms instead.',
    ],
  }
}
