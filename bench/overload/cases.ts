// The three storms of bench/README.md: against a node, against the gateway (streams, and unary calls), and readers that do
// not read. Each gives numbers by name.
import { setTimeout as pause } from 'node:timers/promises'
import { KvClient, RequestWrapper } from '../../orchestrator/client/index.js'
import type { Cluster } from '../../test/harness/cluster.js'
import { closedLoop } from '../load/closed-loop.js'
import { rssMib } from '../load/resources.js'
import type { Load } from './protocol.js'
import { slowReaders } from './slow-readers.js'
import { type Storm, storm } from './storm.js'

export type Figures = Readonly<Record<string, number | string>>

export interface Case {
  readonly name: string
  readonly run: (cluster: Cluster, times: number, seconds: number) => Promise<Figures>
}

const BATCH = { kind: 'batch', streams: 64, operations: 1000, valueBytes: 64 } as const
const UNARY = { kind: 'unary', operations: 1, valueBytes: 64 } as const
/** Callers of the unary service at its peak. */
const UNARY_PEAK = 64
const SLOW_STREAMS = 50

export const CASES: readonly Case[] = [
  { name: 'a node', run: (cluster, times, seconds) => nodeCase(cluster, times, seconds) },
  { name: 'the gateway', run: (cluster, times, seconds) => batches(cluster, cluster.address, times, seconds) },
  { name: 'the gateway, unary', run: unary },
  { name: 'slow readers of the gateway', run: (cluster, _, seconds) => slow(cluster, cluster.address, seconds) },
  {
    name: 'slow readers of a node',
    run: async (cluster, _, seconds) => slow(cluster, (await cluster.leaderOf(1)).address, seconds),
  },
]

async function nodeCase(cluster: Cluster, times: number, seconds: number): Promise<Figures> {
  return batches(cluster, (await cluster.leaderOf(1)).address, times, seconds)
}

/** The peak is the best of a few closed loops: a message of each stream at a time. */
async function batches(cluster: Cluster, address: string, times: number, seconds: number): Promise<Figures> {
  const peaks: Storm[] = []
  for (const streams of [4, 16, BATCH.streams]) {
    peaks.push(await storm(cluster, { ...BATCH, address, streams, seconds }, `peak${streams}-`))
  }
  const peak = peaks.reduce((best, one) => (one.perSecond.acknowledged > best.perSecond.acknowledged ? one : best))
  return under(cluster, peak, { ...BATCH, address, seconds, perSecond: times * peak.perSecond.acknowledged })
}

async function unary(cluster: Cluster, times: number, seconds: number): Promise<Figures> {
  const { address } = cluster
  const peak = await storm(cluster, { ...UNARY, address, streams: UNARY_PEAK, seconds }, 'unary-peak')
  return under(cluster, peak, { ...UNARY, address, seconds, streams: times * UNARY_PEAK })
}

/** Offers the load, and looks whether the cluster is well during and after it. */
async function under(cluster: Cluster, peak: Storm, load: Omit<Load, 'prefix'>): Promise<Figures> {
  const before = await cluster.leaderOf(1)
  const result = await storm(cluster, load, 'storm')
  const calm = await afterwards(cluster)
  const after = await cluster.leaderOf(1)
  return {
    'peak, operations/s': peak.perSecond.acknowledged,
    ...shown(result, peak),
    'leader RSS, most, MiB': result.rss.get(before.pid) ?? Number.NaN,
    'another node, most, MiB': Math.max(...othersOf(result, [before.pid, cluster.orchestrator.pid])),
    'gateway RSS, most, MiB': result.rss.get(cluster.orchestrator.pid) ?? Number.NaN,
    'elections meanwhile': Number(after.term - before.term),
    ...calm,
    'acknowledged keys that are lost': await lost(cluster, result.sample),
    'first other error': result.firstOther,
  }
}

function shown(result: Storm, peak: Storm): Figures {
  const { offered, written, acknowledged, overloaded, other } = result.perSecond
  return {
    'offered/s': offered,
    'taken by the transport/s': written,
    'acknowledged/s': acknowledged,
    'share of the peak, %': (100 * acknowledged) / peak.perSecond.acknowledged,
    'OVERLOADED/s': overloaded,
    'other errors/s': other,
    'acknowledged p50 ms': result.acknowledgedMs.percentile(50),
    'acknowledged p99 ms': result.acknowledgedMs.percentile(99),
    'OVERLOADED p50 ms': result.overloadedMs.percentile(50),
    'OVERLOADED p99 ms': result.overloadedMs.percentile(99),
    'nodes CPU us/acknowledged, peak': peak.nodesUs,
    'nodes CPU us/acknowledged, storm': result.nodesUs,
    'gateway CPU us/acknowledged, peak': peak.gatewayUs,
    'gateway CPU us/acknowledged, storm': result.gatewayUs,
    'generators, cores, peak': peak.driversCores,
    'generators, cores, storm': result.driversCores,
  }
}

function othersOf({ rss }: Storm, known: readonly number[]): number[] {
  return [...rss].filter(([pid]) => !known.includes(pid)).map(([, mib]) => mib)
}

/** How a normal client does as soon as the storm is over. */
async function afterwards(cluster: Cluster): Promise<Figures> {
  const wrapper = new RequestWrapper(cluster.address)
  try {
    const { latency } = await closedLoop(1, 1, (_, turn) => wrapper.put(`calm-${turn % 100}`, 'v'))
    return { 'put in the second after it, p50 ms': latency.percentile(50), 'longest ms': latency.maxMs }
  } finally {
    wrapper.close()
  }
}

async function lost(cluster: Cluster, keys: readonly string[]): Promise<string> {
  const kv = await KvClient.connect({ endpoints: [cluster.address] })
  try {
    const found = await Promise.all(keys.map((key) => kv.get(key)))
    return `${found.filter((one) => one === null).length} of ${keys.length}`
  } finally {
    await kv.close()
  }
}

async function slow(cluster: Cluster, address: string, seconds: number): Promise<Figures> {
  const pids = [...cluster.nodeProcesses().map(({ pid }) => pid), cluster.orchestrator.pid]
  const most = (): number => Math.max(...pids.map(rssMib))
  const idle = most()
  const readers = await slowReaders(cluster, address, SLOW_STREAMS)
  let held = 0
  const timer = setInterval(() => {
    held = Math.max(held, most())
  }, 100)
  try {
    await pause(1000)
    const wrapper = new RequestWrapper(cluster.address)
    let failed = 0
    const { latency } = await closedLoop(4, seconds, async (caller, turn) => {
      await wrapper.put(`beside-${caller}-${turn % 100}`, 'v').catch(() => failed++)
    })
    wrapper.close()
    return {
      'largest RSS before, MiB': idle,
      'largest RSS meanwhile, MiB': held,
      'requests that were taken, MiB of values': readers.asked(),
      'puts of others/s': (latency.count - failed) / seconds,
      'puts of others that failed': failed,
      'puts of others, p99 ms': latency.percentile(99),
    }
  } finally {
    clearInterval(timer)
    readers.close()
  }
}
