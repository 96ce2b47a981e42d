// A load from several driver processes, and what the cluster's processes hold and use meanwhile.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Cluster } from '../../test/harness/cluster.js'
import { Latency } from '../load/latency.js'
import { cpuMeter, rssMib } from '../load/resources.js'
import type { Load, Tally } from './protocol.js'

const DRIVERS = 2
const DRIVER = fileURLToPath(new URL('driver.js', import.meta.url))
const LOOK_MS = 100

export interface Storm {
  readonly perSecond: { offered: number; written: number; acknowledged: number; overloaded: number; other: number }
  readonly firstOther: string
  readonly acknowledgedMs: Latency
  readonly overloadedMs: Latency
  /** The most that each process held, MiB, by pid. */
  readonly rss: ReadonlyMap<number, number>
  /** CPU of the nodes and the gateway for one acknowledged operation, us. */
  readonly nodesUs: number
  readonly gatewayUs: number
  readonly driversCores: number
  readonly sample: readonly string[]
}

export async function storm(cluster: Cluster, load: Omit<Load, 'prefix'>, name: string): Promise<Storm> {
  const drivers = Array.from({ length: DRIVERS }, () => fork(DRIVER, { serialization: 'advanced' }))
  try {
    await Promise.all(drivers.map((driver) => once(driver, 'message')))
    const nodes = cluster.nodeProcesses().map(({ pid }) => pid)
    const watch = new Watch(nodes, cluster.orchestrator.pid)
    const tallies = await Promise.all(drivers.map((driver, at) => drive(driver, load, `${name}${at}`)))
    return summary(tallies, load.seconds, watch)
  } finally {
    for (const driver of drivers) driver.kill('SIGKILL')
  }
}

async function drive(driver: ChildProcess, load: Omit<Load, 'prefix'>, prefix: string): Promise<Tally> {
  const perSecond = load.perSecond === undefined ? {} : { perSecond: load.perSecond / DRIVERS }
  const streams = Math.ceil(load.streams / DRIVERS)
  driver.send({ ...load, ...perSecond, streams, prefix } satisfies Load)
  const [tally] = (await once(driver, 'message')) as [Tally]
  return tally
}

class Watch {
  readonly rss = new Map<number, number>()
  readonly #timer
  readonly #nodes: readonly number[]
  readonly #gateway: number
  readonly #nodesUs: (operations: number) => number
  readonly #gatewayUs: (operations: number) => number

  constructor(nodes: readonly number[], gateway: number) {
    this.#nodes = nodes
    this.#gateway = gateway
    this.#nodesUs = cpuMeter(nodes)
    this.#gatewayUs = cpuMeter([gateway])
    this.#timer = setInterval(() => this.#look(), LOOK_MS)
  }

  /** The CPU, in us, that the nodes and the gateway have spent on each of so many operations. */
  end(operations: number): readonly [number, number] {
    this.#look()
    clearInterval(this.#timer)
    return [this.#nodesUs(operations), this.#gatewayUs(operations)]
  }

  #look(): void {
    for (const pid of [...this.#nodes, this.#gateway]) {
      this.rss.set(pid, Math.max(this.rss.get(pid) ?? 0, rssMib(pid)))
    }
  }
}

function summary(tallies: readonly Tally[], seconds: number, watch: Watch): Storm {
  const sum = (of: (tally: Tally) => number): number => tallies.reduce((total, tally) => total + of(tally), 0)
  const acknowledgedMs = new Latency()
  const overloadedMs = new Latency()
  for (const tally of tallies) {
    for (const us of tally.acknowledgedUs) acknowledgedMs.recordUs(us)
    for (const us of tally.overloadedUs) overloadedMs.recordUs(us)
  }
  const acknowledged = sum((tally) => tally.acknowledged)
  const [nodesUs, gatewayUs] = watch.end(acknowledged)
  return {
    perSecond: {
      offered: sum((tally) => tally.offered) / seconds,
      written: sum((tally) => tally.written) / seconds,
      acknowledged: acknowledged / seconds,
      overloaded: sum((tally) => tally.overloaded) / seconds,
      other: sum((tally) => tally.other) / seconds,
    },
    firstOther: tallies.find((tally) => tally.firstOther !== '')?.firstOther ?? '',
    acknowledgedMs,
    overloadedMs,
    rss: watch.rss,
    nodesUs,
    gatewayUs,
    driversCores: sum((tally) => tally.cpu) / seconds,
    sample: tallies.flatMap((tally) => tally.sample),
  }
}
