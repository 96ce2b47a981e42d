// npm run bench -- rolling [--rate 5000] [--shards 3] [--replicas 3]
// Restarts every node of a cluster, one after the other, under a load of a fixed rate, and shows how long the calls took.
import { Command } from 'commander'
import { readOptions, wholeNumber } from '../../orchestrator/cli/flags.js'
import { KvClient } from '../../orchestrator/client/index.js'
import { ControlClient, OperationState } from '../../orchestrator/wire/control.js'
import { Cluster } from '../../test/harness/cluster.js'
import { INTERRUPTED, interrupted, listenForSignals, untilInterrupted } from '../load/interrupt.js'
import { latencies } from '../load/latencies.js'
import { Traffic } from '../load/traffic.js'

interface Flags {
  readonly rate: number
  readonly shards: number
  readonly replicas: number
}

const CALL = { deadlineMs: 10_000 }
/** Before and after the restart. */
const CALM_MS = 3_000
/** Until the gateway's code and ours are compiled. */
const WARM_MS = 8_000

function readFlags(): Flags {
  const command = new Command('bench rolling')
    .description(
      'A rolling restart under load: half of the calls past the gateway, half through it, half puts, half gets.',
    )
    .option('--rate <count>', 'operations a second', wholeNumber(1, 100_000), 5_000)
    .option('--shards <count>', 'shards', wholeNumber(1, 64), 3)
    .option('--replicas <count>', 'of each, and of meta', wholeNumber(1, 7), 3)
  return readOptions(command)
}

async function main(): Promise<void> {
  const { rate, shards, replicas } = readFlags()
  listenForSignals()
  const cluster = await Cluster.start({ shards, replicas })
  try {
    await cluster.settled()
    await untilInterrupted(measure(cluster, rate))
  } finally {
    await cluster.dispose()
  }
}

async function measure(cluster: Cluster, rate: number): Promise<void> {
  const endpoints = [cluster.address]
  const clients = {
    direct: await KvClient.connect({ endpoints, mode: 'direct' }),
    gateway: await KvClient.connect({ endpoints, mode: 'gateway' }),
  }
  const control = new ControlClient(cluster.address)
  const load = new Traffic(clients, rate)
  try {
    await load.phase('warming up', WARM_MS)
    await load.phase('before', CALM_MS)
    const took = await load.during('rolling restart', () => restart(control, load))
    await load.phase('after', CALM_MS)
    await load.stop()
    console.log(latencies(load))
    console.log(`every node was restarted in ${(took / 1_000).toFixed(1)} s`)
    for (const line of load.story) console.log(line)
  } finally {
    control.close()
    await Promise.all(Object.values(clients).map((client) => client.close()))
  }
}

async function restart(control: ControlClient, load: Traffic): Promise<void> {
  let last = ''
  const { id } = await control.restart('', CALL)
  for await (const { state, detail } of control.watch(id, interrupted)) {
    if (detail !== last) load.note(detail)
    last = detail
    if (state === OperationState.PAUSED) throw new Error(detail)
  }
}

try {
  await main()
} catch (error) {
  if (!interrupted.aborted) throw error
  process.exitCode = INTERRUPTED
}
