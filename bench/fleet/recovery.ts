// Replicas that are made anew elsewhere: a machine that is drained, a rack that is lost.
import { seededRng } from '../../orchestrator/core/rng.js'
import { PARTITIONS } from '../../orchestrator/core/slot.js'
import { type Fleet, KNOWN, keysPerPartition, recordBytes } from './inputs.js'
import { bytes, type Cell, duration, type Section, shownNumber } from './section.js'
import { loadsOf, placed } from './skew.js'
import { leastLoaded, mayJoin, type Policy, rackOf, type Site, type Spread, spread } from './spread.js'
import { type Copy, type Outcome, type Resource, run } from './transfers.js'

const MB = 1e6

interface Machine {
  readonly disk: Resource
  readonly out: Resource
  readonly in: Resource
}

function machinesOf({ machines, diskMbS, netGbit }: Fleet): Machine[] {
  const net = (netGbit * 1e9) / 8
  return Array.from({ length: machines }, () => ({
    disk: { name: 'disk', bytesPerSecond: diskMbS * MB },
    out: { name: 'network', bytesPerSecond: net },
    in: { name: 'network', bytesPerSecond: net },
  }))
}

/** A snapshot: streamed into a file, then restored from it (node-go/snapshot/DESIGN.md). */
function copyOf(size: number, from: Machine, to: Machine): Copy {
  return [
    {
      bytes: size,
      bytesPerSecond: KNOWN.streamOut.value * MB,
      uses: [from.disk, from.out, to.in, to.disk].map((resource) => ({ resource, times: 1 })),
    },
    { bytes: size, bytesPerSecond: KNOWN.restore.value * MB, uses: [{ resource: to.disk, times: 2 }] },
  ]
}

interface Replacement {
  readonly copies: readonly Copy[]
  readonly bytes: number
  /** Groups of which no majority is left: nothing can be copied until machines come back. */
  readonly stuck: number
  /** Nodes for which no machine is allowed. */
  readonly homeless: number
  readonly nodes: number
}

/**
 * Each replica on a machine that goes is made anew on one that is allowed and has fewest nodes. It is copied from the
 * leader; when that machine goes, from the first that stays.
 */
export function replacementsFor(fleet: Fleet, groups: Spread, gone: ReadonlySet<number>): Replacement {
  const rng = seededRng(fleet.seed)
  const site: Site = fleet
  const machines = machinesOf(fleet)
  const sizes = shardBytes(fleet)
  const loads = machines.map((_, machine) => groups.flat().filter((one) => one === machine).length)
  const copies: Copy[] = []
  let [total, stuck, homeless, nodes] = [0, 0, 0, 0]
  for (const [group, all] of groups.entries()) {
    const left = all.filter((machine) => !gone.has(machine))
    const lost = all.length - left.length
    nodes += lost
    const from = machines[left[0] ?? -1]
    if (from === undefined || 2 * left.length <= all.length) {
      stuck++
      continue
    }
    for (let one = 0; one < lost; one++) {
      const allowed = (machine: number) => !gone.has(machine) && mayJoin(machine, left, all.length, site, 'racks')
      const machine = leastLoaded(loads, allowed, rng)
      const to = machines[machine ?? -1]
      if (machine === undefined || to === undefined) homeless++
      else {
        left.push(machine)
        loads[machine] = (loads[machine] ?? 0) + 1
        copies.push(copyOf(sizes[group] ?? 0, from, to))
        total += sizes[group] ?? 0
      }
    }
  }
  return { copies, bytes: total, stuck, homeless, nodes }
}

/** What a replica of each group has on disk, meta's first, without what is dead. */
export function shardBytes(fleet: Fleet): number[] {
  const partition = keysPerPartition(fleet, PARTITIONS) * recordBytes(fleet)
  return [MB, ...loadsOf(placed(fleet.shards), fleet.shards).map((load) => load * partition)]
}

function heldBy({ heldBy: by }: Outcome): string {
  const total = [...by.values()].reduce((sum, one) => sum + one, 0)
  const parts = [...by].sort((a, b) => b[1] - a[1]).map(([name, one]) => `${name} ${Math.round((100 * one) / total)} %`)
  return parts.join(', ')
}

/** How many copies go on beside one another. */
const TOGETHER = [1, 8, 64, Number.POSITIVE_INFINITY]
const SPREADS: readonly Policy[] = ['racks', 'chosen']

function rowsOf(fleet: Fleet, policy: Policy): Cell[][] {
  const { shards, replicas, machines, racks, seed } = fleet
  const groups = spread(shards + 1, replicas, fleet, policy, seededRng(seed))
  const all = Array.from({ length: machines }, (_, machine) => machine)
  const cases: [string, Set<number>][] = [
    ['drain a machine', new Set([0])],
    ['a rack is lost', new Set(all.filter((machine) => rackOf(machine, racks) === 0))],
  ]
  return cases.flatMap(([name, gone]) => {
    const { copies, bytes: size, stuck, homeless } = replacementsFor(fleet, groups, gone)
    return TOGETHER.map((together) => {
      const outcome = run(copies, together)
      const how = Number.isFinite(together) ? `${together} at a time` : 'all at once'
      const rate = `${bytes(size / Math.max(1e-9, outcome.seconds))}/s`
      const time = duration(outcome.seconds)
      return [name, policy, copies.length, bytes(size), how, time, rate, heldBy(outcome), stuck + homeless]
    })
  })
}

export function recoverySection(fleet: Fleet): Section {
  return {
    title: 'Replicas made anew on the machines that stay, each with fewest nodes and in a rack of its own',
    head: ['what', 'spread', 'replicas', 'bytes', 'copies', 'time', 'rate', 'held up by', 'not possible'],
    rows: SPREADS.flatMap((policy) => rowsOf(fleet, policy)),
    notes: [
      `A copy is streamed into a file (${KNOWN.streamOut.value} MB/s by itself), then restored (${KNOWN.restore.value} MB/s, each byte ` +
        `read and written): its own speed bounds it, not a disk of ${fleet.diskMbS} MB/s or ${shownNumber(fleet.netGbit)} Gbit/s, until ` +
        'several share a machine. The time does not hold what catching up with the log takes.',
    ],
  }
}
