// A sweep from its first point to its last, on clusters of its own.
import { Cluster } from '../../test/harness/cluster.js'
import { type Figures, medians } from '../load/figures.js'
import { cpuMeter, diskBytes, MIB, rssMib } from '../load/resources.js'
import { Driving } from './driving.js'
import { type LoadDone, VERBS, type Verb } from './protocol.js'
import { fillersOf, type Point, type Sweep } from './sweeps.js'

export interface Measured {
  readonly point: Point
  readonly verb: Verb
  readonly median: Figures
  readonly runs: readonly Figures[]
}

export interface Measuring {
  readonly runs: number
  readonly seconds: number
  readonly stop: AbortSignal
  readonly say: (line: string) => void
}

const WARM_SECONDS = 1
/** Merges keep up with what is overwritten. If they do not, the disk is not to pay for it. */
const DATA_MIB_MAX = 16 * 1024

export async function measureSweep(sweep: Sweep, measuring: Measuring): Promise<Measured[]> {
  const measured: Measured[] = []
  for (const points of sweep.clusters) measured.push(...(await measureOnCluster(sweep, points, measuring)))
  return measured
}

async function measureOnCluster(sweep: Sweep, points: readonly Point[], measuring: Measuring): Promise<Measured[]> {
  const [first] = points
  if (first === undefined) return []
  measuring.stop.throwIfAborted()
  const cluster = await Cluster.start({ shards: first.shards, replicas: first.replicas })
  try {
    await cluster.settled()
    const driver = await Driving.start(cluster.address, measuring.stop)
    try {
      return await measurePoints(sweep, points, cluster, driver, measuring)
    } finally {
      driver.close()
    }
  } finally {
    await cluster.dispose()
  }
}

async function measurePoints(
  sweep: Sweep,
  points: readonly Point[],
  cluster: Cluster,
  driver: Driving,
  measuring: Measuring,
): Promise<Measured[]> {
  const measured: Measured[] = []
  let filled = 0
  for (const point of points) {
    const { keys, valueBytes } = point
    const name = `${sweep.name} ${sweep.shown(sweep.x(point))}`
    const begin = performance.now()
    await driver.fill({ from: filled, to: keys, valueBytes, callers: fillersOf(point) })
    const took = (performance.now() - begin) / 1000
    if (keys > filled) measuring.say(`${name}: ${keys - filled} keys filled in ${took.toFixed(1)} s`)
    filled = Math.max(filled, keys)
    await cluster.settled()
    for (const verb of VERBS) measured.push(await measureVerb(name, point, verb, cluster, driver, measuring))
  }
  return measured
}

async function measureVerb(
  name: string,
  point: Point,
  verb: Verb,
  cluster: Cluster,
  driver: Driving,
  { runs, seconds, say }: Measuring,
): Promise<Measured> {
  const { callers, keys, valueBytes } = point
  const job = { verb, callers, keys, valueBytes }
  const all: Figures[] = []
  for (let turn = 1; turn <= runs; turn++) {
    say(`${name}: ${verb}, ${turn} of ${runs}`)
    await driver.load({ ...job, seconds: WARM_SECONDS })
    const pids = cluster.nodeProcesses().map((node) => node.pid)
    const spent = cpuMeter(pids)
    const done = await driver.load({ ...job, seconds })
    const nodesUs = spent(done.operations)
    if (done.errors > 0) say(`${name}: ${verb}: ${done.errors} errors, the first: ${done.firstError}`)
    all.push({ ...figuresOf(done, nodesUs), ...held(cluster, pids) })
  }
  return { point, verb, median: medians(all), runs: all }
}

export function figuresOf(done: LoadDone, nodesUs: number): Figures {
  const clientUs = done.cpuUs / done.operations
  // What was attempted costs, whether it succeeded or not.
  const attempts = (done.perSecond * done.operations) / Math.max(1, done.operations - done.errors)
  return {
    'ops/s': done.perSecond,
    'p50 ms': done.p50Ms,
    'p99 ms': done.p99Ms,
    'max ms': done.maxMs,
    'client CPU us/op': clientUs,
    'nodes CPU us/op': nodesUs,
    'client cores': (clientUs * attempts) / 1e6,
    'nodes cores': (nodesUs * attempts) / 1e6,
    errors: done.errors,
  }
}

function held(cluster: Cluster, pids: readonly number[]): Figures {
  const dataMib = diskBytes(cluster.data) / MIB
  if (dataMib > DATA_MIB_MAX) throw new Error(`the data folder takes ${Math.round(dataMib)} MiB: merging is too slow`)
  return { 'data MiB': dataMib, 'largest node RSS MiB': Math.max(...pids.map(rssMib)) }
}
