// npm run bench -- deletion [--keys 100000] [--rate 2000] [--shards 3] [--replicas 3]
// Deletes a prefix under a load of a fixed rate, and shows how fast that goes and how long the calls took meanwhile.
import { Command } from 'commander'
import { readOptions, wholeNumber } from '../../orchestrator/cli/flags.js'
import { KvClient } from '../../orchestrator/client/index.js'
import { Cluster } from '../../test/harness/cluster.js'
import { INTERRUPTED, interrupted, listenForSignals, untilInterrupted } from '../load/interrupt.js'
import { latencies } from '../load/latencies.js'
import { Traffic } from '../load/traffic.js'

interface Flags {
  readonly keys: number
  readonly rate: number
  readonly shards: number
  readonly replicas: number
}

/** Before and after the deletion. */
const CALM_MS = 3_000
/** Until the gateway's code and ours are compiled. */
const WARM_MS = 5_000
const FILL_AT_ONCE = 4_096
const PREFIX = 'gone:'
const VALUE = Buffer.alloc(64)

function readFlags(): Flags {
  const command = new Command('bench deletion')
    .description(
      'A prefix is deleted under load: half of the calls past the gateway, half through it, half puts, half gets.',
    )
    .option('--keys <count>', 'to be deleted', wholeNumber(1, 10_000_000), 100_000)
    .option('--rate <count>', 'operations a second', wholeNumber(1, 100_000), 2_000)
    .option('--shards <count>', 'shards', wholeNumber(1, 64), 3)
    .option('--replicas <count>', 'of each, and of meta', wholeNumber(1, 7), 3)
  return readOptions(command)
}

async function main(): Promise<void> {
  const flags = readFlags()
  listenForSignals()
  const cluster = await Cluster.start(flags)
  try {
    await cluster.settled()
    await untilInterrupted(measure(cluster, flags))
  } finally {
    await cluster.dispose()
  }
}

async function measure(cluster: Cluster, { keys, rate }: Flags): Promise<void> {
  const endpoints = [cluster.address]
  const clients = {
    direct: await KvClient.connect({ endpoints, mode: 'direct' }),
    gateway: await KvClient.connect({ endpoints, mode: 'gateway' }),
  }
  await fill(clients.direct, keys)
  const load = new Traffic(clients, rate)
  try {
    await load.phase('warming up', WARM_MS)
    await load.phase('before', CALM_MS)
    let deleted = 0
    const took = await load.during('deletion', async () => {
      deleted = (await clients.direct.deletePrefix(PREFIX)).deleted
    })
    await load.phase('after', CALM_MS)
    await load.stop()
    console.log(latencies(load))
    console.log(
      `${deleted} keys were deleted in ${(took / 1_000).toFixed(1)} s: ${Math.round((deleted / took) * 1_000)}/s`,
    )
  } finally {
    await Promise.all(Object.values(clients).map((client) => client.close()))
  }
}

async function fill(client: KvClient, keys: number): Promise<void> {
  for (let from = 0; from < keys; from += FILL_AT_ONCE) {
    const batch = client.batch<unknown[] & never[]>()
    for (let at = from; at < Math.min(keys, from + FILL_AT_ONCE); at++) {
      batch.put(`${PREFIX}${String(at).padStart(9, '0')}`, VALUE)
    }
    await batch.run()
  }
}

try {
  await main()
} catch (error) {
  if (!interrupted.aborted) throw error
  process.exitCode = INTERRUPTED
}
