// npm run bench -- scale [--runs 3] [--seconds 4] [--only words] [--keys-max 2000000] [--json file] [--svg folder]
// How rate and latency go with callers, value size, keys, shards and replicas. What is done is written after each sweep.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command } from 'commander'
import { EXIT } from '../../orchestrator/cli/exit-codes.js'
import { readOptions, wholeNumber } from '../../orchestrator/cli/flags.js'
import { machine } from '../load/figures.js'
import { INTERRUPTED, interrupted, listenForSignals } from '../load/interrupt.js'
import { choice, outputFile, outputFolder } from '../load/options.js'
import { type Measured, measureSweep } from './measure.js'
import { chartOf, tableOf } from './render.js'
import { KEYS_MAX, type Sweep, sweeps } from './sweeps.js'

interface Flags {
  readonly runs: number
  readonly seconds: number
  readonly only: readonly Sweep[]
  readonly keysMax: number
  readonly json?: string
  readonly svg?: string
}

/** The exit code of a benchmark that is no figure. */
const OPERATIONS_FAILED = 1

function readFlags(): Flags {
  const command = new Command('bench scale')
    .description('How operations/s and p99 go with callers, values, keys, shards and replicas, on clusters of its own.')
    .option('--runs <count>', 'measurements of which the median is taken', wholeNumber(1, 1000), 3)
    .option('--seconds <count>', 'length of one measurement', wholeNumber(1, 3600), 4)
    .addOption(choice('--only <words>', 'sweeps', sweeps()))
    .option('--keys-max <count>', 'leave out the points with more keys', wholeNumber(1000, KEYS_MAX), KEYS_MAX)
    .option('--json <file>', 'write the figures, every run of them, to a file', outputFile)
    .option('--svg <folder>', 'write a chart of each sweep to a folder', outputFolder)
    .addHelpText('after', '\nExit codes: 0 done, 1 operations failed, 2 wrong usage, 130 interrupted.')
  return readOptions(command)
}

interface Result {
  readonly sweep: Sweep
  readonly measured: readonly Measured[]
}

function save({ json, svg }: Flags, results: readonly Result[]): void {
  if (json !== undefined) {
    const all = results.map(({ sweep, measured }) => ({
      name: sweep.name,
      measured: measured.map((one) => ({ x: sweep.x(one.point), ...one })),
    }))
    writeFileSync(json, `${JSON.stringify({ machine: machine(), sweeps: all }, null, 2)}\n`)
  }
  if (svg === undefined) return
  for (const { sweep, measured } of results) writeFileSync(join(svg, `${sweep.name}.svg`), chartOf(sweep, measured))
}

/** Sweeps until all are done, or until somebody stops it: then everything that was opened is closed first. */
async function run(flags: Flags, chosen: readonly Sweep[], stop: AbortSignal): Promise<number> {
  const { runs, seconds } = flags
  const say = (line: string): void => console.error(`bench: ${line}`)
  const results: Result[] = []
  try {
    for (const sweep of chosen) {
      const measured = await measureSweep(sweep, { runs, seconds, stop, say })
      results.push({ sweep, measured })
      console.log(tableOf(sweep, measured))
      save(flags, results)
    }
  } catch (error) {
    if (!stop.aborted) throw error
    return INTERRUPTED
  }
  const failed = results.some(({ measured }) =>
    measured.some((one) => one.runs.some((figures) => figures.errors !== 0)),
  )
  return failed ? OPERATIONS_FAILED : EXIT.ok
}

async function main(): Promise<number> {
  const flags = readFlags()
  const names = new Set(flags.only.map(({ name }) => name))
  listenForSignals()
  return run(
    flags,
    sweeps(flags.keysMax).filter(({ name }) => names.has(name)),
    interrupted,
  )
}

process.exitCode = await main()
