// The frame of a benchmark that does something to a cluster, and shows what callers at a fixed rate notice of it.
import { Command } from 'commander'
import { wholeNumber } from '../../orchestrator/cli/flags.js'
import { KvClient } from '../../orchestrator/client/index.js'
import { Cluster } from '../../test/harness/cluster.js'
import { INTERRUPTED, interrupted, listenForSignals, untilInterrupted } from './interrupt.js'
import { latencies } from './latencies.js'
import { Traffic } from './traffic.js'

export interface TrafficFlags {
  readonly rate: number
  readonly shards: number
  readonly replicas: number
}

export interface Scene {
  readonly cluster: Cluster
  /** Past the gateway, and through it. */
  readonly clients: Readonly<Record<'direct' | 'gateway', KvClient>>
  readonly load: Traffic
}

export interface Deed {
  readonly name: string
  /** Until the gateway's code and ours are compiled. */
  readonly warmMs: number
  /** Before there is any load. */
  readonly prepare?: (scene: Pick<Scene, 'clients'>) => Promise<void>
  /** Is measured. Gives what is to be told of it, when it is known how long it took. */
  readonly work: (scene: Scene) => Promise<(tookMs: number) => readonly string[]>
}

/** Before and after the deed. */
const CALM_MS = 3_000

/** `bench <name>`, with the flags that each of them has. */
export function trafficCommand(name: string, what: string, rate: number): Command {
  return new Command(`bench ${name}`)
    .description(`${what} under load: half of the calls past the gateway, half through it, half puts, half gets.`)
    .option('--rate <count>', 'operations a second', wholeNumber(1, 100_000), rate)
    .option('--shards <count>', 'shards', wholeNumber(1, 64), 3)
    .option('--replicas <count>', 'of each, and of meta', wholeNumber(1, 7), 3)
}

/** Starts a cluster, puts the load on it, does the deed, prints how long the calls took before, meanwhile and after, and ends all. */
export async function besideTraffic({ rate, shards, replicas }: TrafficFlags, deed: Deed): Promise<void> {
  listenForSignals()
  try {
    const cluster = await Cluster.start({ shards, replicas })
    try {
      await cluster.settled()
      await untilInterrupted(measure(cluster, rate, deed))
    } finally {
      await cluster.dispose()
    }
  } catch (error) {
    if (!interrupted.aborted) throw error
    process.exitCode = INTERRUPTED
  }
}

async function measure(cluster: Cluster, rate: number, { name, warmMs, prepare, work }: Deed): Promise<void> {
  const endpoints = [cluster.address]
  const clients = {
    direct: await KvClient.connect({ endpoints, mode: 'direct' }),
    gateway: await KvClient.connect({ endpoints, mode: 'gateway' }),
  }
  try {
    await prepare?.({ clients })
    const load = new Traffic(clients, rate)
    const told = await inPhases({ cluster, clients, load }, name, warmMs, work).finally(() => load.stop())
    for (const line of [latencies(load), ...told]) console.log(line)
  } finally {
    await Promise.all(Object.values(clients).map((client) => client.close()))
  }
}

async function inPhases(scene: Scene, name: string, warmMs: number, work: Deed['work']): Promise<readonly string[]> {
  const { load } = scene
  let tell: (tookMs: number) => readonly string[] = () => []
  await load.phase('warming up', warmMs)
  await load.phase('before', CALM_MS)
  const tookMs = await load.during(name, async () => {
    tell = await work(scene)
  })
  await load.phase('after', CALM_MS)
  return tell(tookMs)
}
