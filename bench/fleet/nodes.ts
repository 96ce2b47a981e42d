// What the nodes of a machine need when nobody asks them anything, and when they start.
import { PARTITIONS } from '../../orchestrator/core/slot.js'
import { type Fleet, KNOWN, keysPerPartition, recordBytes } from './inputs.js'
import { spreadsOf } from './loss.js'
import { shardBytes } from './recovery.js'
import { bytes, duration, type Section } from './section.js'
import { loadsOf, placed } from './skew.js'

export interface NodeNeeds {
  /** With what the collector adds. */
  readonly heapBytes: number
  /** As a loaded node had it. */
  readonly rssBytes: number
  readonly diskBytes: number
  readonly openCpuS: number
  readonly hintBytes: number
}

/** Of a node that has so many keys. */
function needsOf(fleet: Fleet, keys: number): NodeNeeds {
  const perKey = KNOWN.heapPerKey.value - 20 + fleet.keyBytes
  return {
    heapBytes: KNOWN.nodeRss.value + keys * perKey * KNOWN.collector.value,
    rssBytes: KNOWN.nodeRss.value + keys * (KNOWN.rssPerKey.value - 20 + fleet.keyBytes),
    diskBytes: keys * recordBytes(fleet),
    openCpuS: keys * KNOWN.openCpu.value,
    hintBytes: keys * (KNOWN.hintHeader.value + fleet.keyBytes),
  }
}

interface MachineNeeds extends NodeNeeds {
  readonly nodes: number
}

/** What all nodes of each machine need together. */
function machineNeeds(fleet: Fleet): MachineNeeds[] {
  const keys = [0, ...loadsOf(placed(fleet.shards), fleet.shards)].map(
    (load) => load * keysPerPartition(fleet, PARTITIONS),
  )
  const all = Array.from({ length: fleet.machines }, (): number[] => [])
  const [groups = []] = spreadsOf(fleet, 'racks', 1)
  for (const [group, machines] of groups.entries()) for (const machine of machines) all[machine]?.push(keys[group] ?? 0)
  return all.map((nodes) => {
    const needs = nodes.map((count) => needsOf(fleet, count))
    const sum = (of: (one: NodeNeeds) => number) => needs.reduce((total, one) => total + of(one), 0)
    return {
      nodes: nodes.length,
      heapBytes: sum((one) => one.heapBytes),
      rssBytes: sum((one) => one.rssBytes),
      diskBytes: sum((one) => one.diskBytes),
      openCpuS: sum((one) => one.openCpuS),
      hintBytes: sum((one) => one.hintBytes),
    }
  })
}

/** Seconds until all nodes of a machine have opened: cores, the disk, or the slowest of them, which opens with one core. */
export function openSeconds(fleet: Fleet, machine: Pick<NodeNeeds, 'openCpuS' | 'hintBytes'>, slowest: number): number {
  return Math.max(machine.openCpuS / fleet.cores, machine.hintBytes / (fleet.diskMbS * 1e6), slowest)
}

export function nodesSection(fleet: Fleet): Section {
  const all = machineNeeds(fleet)
  const most = (of: (one: MachineNeeds) => number) => Math.max(...all.map(of))
  const mean = (of: (one: MachineNeeds) => number) => all.reduce((sum, one) => sum + of(one), 0) / all.length
  const loads = loadsOf(placed(fleet.shards), fleet.shards)
  const perPartition = keysPerPartition(fleet, PARTITIONS)
  const one = needsOf(fleet, Math.min(...loads) * perPartition)
  const full = needsOf(fleet, Math.max(...loads) * perPartition)
  const opens = all.map((machine) => openSeconds(fleet, machine, full.openCpuS))
  // A leader tells each follower, and each message is heard by one and answered.
  const perLink = 1 / KNOWN.heartbeat.value + 1 / KNOWN.commitWord.value
  const links = ((fleet.shards + 1) * (fleet.replicas - 1)) / fleet.machines
  const row = (name: string, of: (needs: NodeNeeds) => number, shown: (value: number) => string) => [
    name,
    ...[of(one), of(full), mean(of), most(of)].map(shown),
  ]
  return {
    title: `Nodes: ${(fleet.shards + 1) * fleet.replicas} on ${fleet.machines} machines of ${fleet.cores} cores`,
    head: ['needs', 'node with least', 'node with most', 'machine, mean', 'machine, most'],
    rows: [
      row('memory: keys in the heap, and the collector', ({ heapBytes }) => heapBytes, bytes),
      row('memory: RSS as under load', ({ rssBytes }) => rssBytes, bytes),
      row('disk, nothing dead (twice that at worst)', ({ diskBytes }) => diskBytes, bytes),
      row('opening: CPU', ({ openCpuS }) => openCpuS, duration),
      ['nodes', '', '', `${mean(({ nodes }) => nodes).toFixed(1)}`, `${most(({ nodes }) => nodes)}`],
      [
        'opening: until the last node of a machine',
        '',
        '',
        duration(opens.reduce((a, b) => a + b, 0) / opens.length),
        duration(Math.max(...opens)),
      ],
      [
        'idle CPU, cores',
        `${KNOWN.idleCpu.value}`,
        '',
        (mean(({ nodes }) => nodes) * KNOWN.idleCpu.value).toFixed(2),
        (most(({ nodes }) => nodes) * KNOWN.idleCpu.value).toFixed(2),
      ],
      ['Raft messages/s, idle, sent by leaders', '', '', (links * perLink).toFixed(0), ''],
    ],
    notes: [
      `All together: ${bytes(all.reduce((sum, { heapBytes }) => sum + heapBytes, 0))} of memory for keys (RSS as under load ` +
        `${bytes(all.reduce((sum, { rssBytes }) => sum + rssBytes, 0))}), ${bytes(shardBytes(fleet).reduce((a, b) => a + b, 0) * fleet.replicas)} ` +
        `of disk, ${((fleet.shards + 1) * fleet.replicas * KNOWN.idleCpu.value).toFixed(1)} cores idle.`,
      `A start is given ${KNOWN.startTimeout.value} s by default.`,
    ],
  }
}
