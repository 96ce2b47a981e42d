// The figures of bench/README.md, one function each. Every one starts from a running 3 x 3 cluster and gives numbers
// by name; main.ts repeats it and takes the median.
import { RequestWrapper } from '../../orchestrator/client/index.js'
import type { Cluster } from '../../test/harness/cluster.js'
import { median } from '../../test/harness/median.js'
import { runConcurrent } from '../concurrent.js'
import { closedLoop, type LoopResult } from '../load/closed-loop.js'
import type { Figures } from '../load/figures.js'
import { cpuMeter, cpuPercent, rssMib } from '../load/resources.js'
import { VERBS } from '../protocol.js'

export interface Case {
  readonly name: string
  readonly run: (cluster: Cluster, seconds: number) => Promise<Figures>
}

const KEYS_PER_CALLER = 200

export const CASES: readonly Case[] = [
  { name: 'sequential put of 512 bytes', run: (cluster, seconds) => puts(cluster, seconds, 1, 512) },
  { name: '64 concurrent puts of 256 bytes on Batch', run: (cluster, seconds) => puts(cluster, seconds, 64, 256) },
  { name: '64 concurrent gets of 256 bytes on Batch', run: (cluster, seconds) => gets(cluster, seconds, 64, 256) },
  { name: '256 concurrent puts of 256 bytes on Batch', run: (cluster, seconds) => puts(cluster, seconds, 256, 256) },
  { name: 'compat unary, 5 worker processes', run: compat },
  { name: 'idle', run: idle },
  { name: 'warm start', run: warmStart },
]

function figuresOf({ perSecond, latency }: LoopResult): Figures {
  return { 'ops/s': perSecond, 'p50 ms': latency.percentile(50), 'p99 ms': latency.percentile(99) }
}

/** Runs a loop warm, then measures it. */
async function measured(
  cluster: Cluster,
  callers: number,
  seconds: number,
  operation: (caller: number, turn: number) => Promise<unknown>,
): Promise<Figures> {
  await closedLoop(callers, 1, operation)
  const spent = clusterMeter(cluster)
  const own = cpuMeter([process.pid])
  const result = await closedLoop(callers, seconds, operation)
  const { count } = result.latency
  return { ...figuresOf(result), 'client CPU us/op': own(count), ...spent(count) }
}

/** The CPU that the cluster spends on an operation from now on. */
function clusterMeter(cluster: Cluster): (operations: number) => Figures {
  const gateway = cpuMeter([cluster.orchestrator.pid])
  const nodes = cpuMeter(cluster.nodeProcesses().map((node) => node.pid))
  return (operations) => ({ 'gateway CPU us/op': gateway(operations), 'nodes CPU us/op': nodes(operations) })
}

function keyOf(caller: number, turn: number): string {
  return `bench-${caller}-${turn % KEYS_PER_CALLER}`
}

async function puts(cluster: Cluster, seconds: number, callers: number, bytes: number): Promise<Figures> {
  const value = 'v'.repeat(bytes)
  return withWrapper(cluster, async (wrapper) => {
    const put = (caller: number, turn: number): Promise<unknown> => wrapper.put(keyOf(caller, turn), value)
    return measured(cluster, callers, seconds, put)
  })
}

async function gets(cluster: Cluster, seconds: number, callers: number, bytes: number): Promise<Figures> {
  const value = 'v'.repeat(bytes)
  return withWrapper(cluster, async (wrapper) => {
    const all = Array.from({ length: callers * KEYS_PER_CALLER }, (_, i) => keyOf(i % callers, Math.floor(i / callers)))
    await Promise.all(all.map((key) => wrapper.put(key, value)))
    const get = async (caller: number, turn: number): Promise<void> => {
      if ((await wrapper.get(keyOf(caller, turn)))?.length !== bytes) throw new Error('a wrong value')
    }
    return measured(cluster, callers, seconds, get)
  })
}

async function withWrapper<T>(cluster: Cluster, work: (wrapper: RequestWrapper) => Promise<T>): Promise<T> {
  const wrapper = new RequestWrapper(cluster.address)
  try {
    return await work(wrapper)
  } finally {
    wrapper.close()
  }
}

async function compat(cluster: Cluster, seconds: number): Promise<Figures> {
  const { address } = cluster
  const options = { address, service: 'compat', workers: 5, iterations: 600 * seconds } as const
  const spent = clusterMeter(cluster)
  const { operations, errors, seconds: took, latency } = await runConcurrent(options)
  const all = latency.put
  for (const verb of VERBS) if (verb !== 'put') all.add(latency[verb])
  return {
    'ops/s': operations / took,
    'p50 ms': all.percentile(50),
    'p99 ms': all.percentile(99),
    errors,
    ...spent(operations),
  }
}

/** A fresh cluster, so that no case before this one has left something in memory. */
async function idle(cluster: Cluster, seconds: number): Promise<Figures> {
  const nodes = cluster.nodeProcesses().map((node) => node.pid)
  const cpu = await cpuPercent(nodes, 2 * seconds)
  const orchestrator = await cpuPercent([cluster.orchestrator.pid], seconds)
  return {
    'node RSS MiB': median(nodes.map(rssMib)),
    'largest node RSS MiB': Math.max(...nodes.map(rssMib)),
    'all nodes CPU %': cpu,
    'orchestrator RSS MiB': rssMib(cluster.orchestrator.pid),
    'orchestrator CPU %': orchestrator,
  }
}

async function warmStart(cluster: Cluster): Promise<Figures> {
  const stopping = performance.now()
  await cluster.stop()
  const starting = performance.now()
  await cluster.restart()
  return { 'stop s': (starting - stopping) / 1000, 'start to ready s': (performance.now() - starting) / 1000 }
}
