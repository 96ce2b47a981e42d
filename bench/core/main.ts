// npm run bench -- core [--runs 3] [--seconds 5] [--only words] [--large 2] [--json file]
// Starts its own cluster for each case, measures it `runs` times and takes the median of each figure.
import { writeFileSync } from 'node:fs'
import Table from 'cli-table3'
import { Command } from 'commander'
import { readOptions, wholeNumber } from '../../orchestrator/cli/flags.js'
import { Cluster } from '../../test/harness/cluster.js'
import { type Figures, machine, medians, PLAIN_TABLE, shown } from '../load/figures.js'
import { INTERRUPTED, interrupted, listenForSignals, untilInterrupted } from '../load/interrupt.js'
import { choice, outputFile } from '../load/options.js'
import { CASES, type Case } from './cases.js'
import { largeValues } from './large-values.js'

interface Flags {
  readonly runs: number
  readonly seconds: number
  readonly only: readonly Case[]
  readonly large?: number
  readonly json?: string
}

interface Measured {
  readonly name: string
  readonly median: Figures
  readonly runs: readonly Figures[]
}

function readFlags(): Flags {
  const command = new Command('bench core')
    .description('The figures of bench/README.md, each on a fresh cluster of 3 shards x 3 replicas.')
    .option('--runs <count>', 'measurements of which the median is taken', wholeNumber(1, 1000), 3)
    .option('--seconds <count>', 'length of one measurement', wholeNumber(1, 3600), 5)
    .addOption(choice('--only <words>', 'cases', CASES))
    .option('--large <gib>', 'also fill a node with so many GiB of values (minutes)', wholeNumber(1, 1024))
    .option('--json <file>', 'write the figures, every run of them, to a file', outputFile)
  return readOptions(command)
}

async function measure({ name, run }: Case, { runs, seconds }: Flags): Promise<Measured> {
  interrupted.throwIfAborted()
  const cluster = await Cluster.start()
  try {
    await cluster.settled()
    const all: Figures[] = []
    for (let turn = 1; turn <= runs; turn++) {
      console.error(`bench: ${name}: ${turn} of ${runs}`)
      all.push(await untilInterrupted(run(cluster, seconds)))
    }
    return { name, median: medians(all), runs: all }
  } finally {
    await cluster.dispose()
  }
}

function render(measured: readonly Measured[]): string {
  const table = new Table({
    head: ['case', 'figure', 'median'],
    colAligns: ['left', 'left', 'right'],
    style: PLAIN_TABLE,
  })
  for (const { name, median: figures } of measured) {
    for (const [figure, value] of Object.entries(figures)) table.push([name, figure, shown(value)])
  }
  return table.toString()
}

async function main(): Promise<void> {
  const flags = readFlags()
  const measured: Measured[] = []
  listenForSignals()
  for (const one of flags.only) measured.push(await measure(one, flags))
  if (flags.large !== undefined) {
    console.error(`bench: ${flags.large} GiB of values`)
    const figures = await untilInterrupted(largeValues(flags.large))
    measured.push({ name: 'values on disk, one node', median: figures, runs: [figures] })
  }
  console.log(render(measured))
  if (flags.json !== undefined) {
    writeFileSync(flags.json, `${JSON.stringify({ machine: machine(), measured }, null, 2)}\n`)
  }
}

try {
  await main()
} catch (error) {
  if (!interrupted.aborted) throw error
}
// The callers of a case that is cut short are still at work.
if (interrupted.aborted) process.exit(INTERRUPTED)
