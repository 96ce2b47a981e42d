// npm run bench -- overload [--times 50] [--seconds 5] [--only words] [--replicas 3]
// Offers many times what a cluster of one shard can serve, and shows what becomes of it.
import Table from 'cli-table3'
import { Command } from 'commander'
import { readOptions, wholeNumber } from '../../orchestrator/cli/flags.js'
import { Cluster } from '../../test/harness/cluster.js'
import { INTERRUPTED, interrupted, listenForSignals, untilInterrupted } from '../load/interrupt.js'
import { choice } from '../load/options.js'
import { CASES, type Case, type Figures } from './cases.js'

interface Flags {
  readonly times: number
  readonly seconds: number
  readonly replicas: number
  readonly only: readonly Case[]
}

function readFlags(): Flags {
  const command = new Command('bench overload')
    .description('What a node and a gateway do with many times the load that they can serve. A fresh cluster for each.')
    .option('--times <count>', 'how many times the peak is offered', wholeNumber(1, 1000), 50)
    .option('--seconds <count>', 'length of one measurement', wholeNumber(1, 3600), 5)
    .option('--replicas <count>', 'of the one shard', wholeNumber(1, 7), 3)
    .addOption(choice('--only <words>', 'cases', CASES))
  return readOptions(command)
}

function render(name: string, figures: Figures): string {
  const table = new Table({ head: [name, ''], colAligns: ['left', 'right'], style: { head: [], border: [] } })
  for (const [figure, value] of Object.entries(figures)) table.push([figure, shown(value)])
  return table.toString()
}

function shown(value: number | string): string {
  if (typeof value === 'string') return value
  return value >= 100 ? Math.round(value).toLocaleString('en') : value.toFixed(2)
}

async function main(): Promise<void> {
  const { times, seconds, replicas, only } = readFlags()
  listenForSignals()
  for (const { name, run } of only) {
    interrupted.throwIfAborted()
    console.error(`bench: ${name}`)
    const cluster = await Cluster.start({ shards: 1, replicas })
    try {
      await cluster.settled()
      console.log(render(name, await untilInterrupted(run(cluster, times, seconds))))
    } finally {
      await cluster.dispose()
    }
  }
}

try {
  await main()
} catch (error) {
  if (!interrupted.aborted) throw error
}
// The drivers of a storm that is cut short are still at work.
if (interrupted.aborted) process.exit(INTERRUPTED)
