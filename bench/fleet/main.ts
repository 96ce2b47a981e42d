// npm run bench -- fleet [--shards 1000] [--machines 100] ... [--measure] [--json file]
// A fleet on paper: placement, the map and who is sent it, meta, nodes, recovery. Starts nothing.
import { writeFileSync } from 'node:fs'
import { Command } from 'commander'
import { readOptions, wholeNumber } from '../../orchestrator/cli/flags.js'
import { machine } from '../load/figures.js'
import { outputFile } from '../load/options.js'
import { DEFAULTS, type Fleet } from './inputs.js'
import { choiceSection, codeSection, streamSection } from './measure.js'
import { modelOf } from './model.js'
import { type Section, shownSection } from './section.js'

interface Flags extends Fleet {
  readonly measure: boolean
  readonly json?: string
}

function readFlags(): Flags {
  const command = new Command('bench fleet')
    .description('What a fleet would need, computed with the code of the orchestrator and figures of this repository.')
    // Past this there are shards without partitions.
    .option('--shards <count>', 'shards', wholeNumber(2, 1023), DEFAULTS.shards)
    .option('--replicas <count>', 'nodes of a shard', wholeNumber(1, 7), DEFAULTS.replicas)
    .option('--keys <count>', 'keys of the whole store', wholeNumber(1, 1e13), DEFAULTS.keys)
    .option('--key-bytes <count>', 'length of a key', wholeNumber(1, 4096), DEFAULTS.keyBytes)
    .option('--value-bytes <count>', 'length of a value', wholeNumber(0, 2 ** 20), DEFAULTS.valueBytes)
    .option('--machines <count>', 'machines that run nodes', wholeNumber(7, 10_000), DEFAULTS.machines)
    .option('--racks <count>', 'racks that they are in', wholeNumber(1, 1000), DEFAULTS.racks)
    .option('--cores <count>', 'cores of a machine', wholeNumber(1, 1024), DEFAULTS.cores)
    .option(
      '--disk-mb-s <rate>',
      'what a machine’s disk reads and writes, together',
      wholeNumber(1, 100_000),
      DEFAULTS.diskMbS,
    )
    .option('--net-gbit <rate>', 'a machine’s network, each way', wholeNumber(1, 1000), DEFAULTS.netGbit)
    .option('--gateways <count>', 'gateways', wholeNumber(1, 10_000), DEFAULTS.gateways)
    .option('--clients <count>', 'clients that follow the map themselves', wholeNumber(0, 10_000_000), DEFAULTS.clients)
    .option('--restart-s <seconds>', 'over how long a rack comes back', wholeNumber(1, 86_400), DEFAULTS.restartS)
    .option('--seed <number>', 'of everything that is left to chance', wholeNumber(0, 2 ** 32 - 1), DEFAULTS.seed)
    .option('--measure', 'also measure CPU and memory of the code here (half a minute)', false)
    .option('--json <file>', 'write every table to a file', outputFile)
  return readOptions(command)
}

async function main(): Promise<void> {
  const { measure, json, ...fleet } = readFlags()
  // First, while there is nothing else in memory.
  const first = measure ? [await streamSection(fleet), choiceSection(fleet)] : []
  const model = modelOf(fleet)
  for (const section of model) console.log(shownSection(section))
  const measured: Section[] = measure ? [...first, codeSection(fleet)] : []
  for (const section of measured) console.log(shownSection(section))
  if (json === undefined) return
  const here = measure ? { machine: machine(), measured } : {}
  writeFileSync(json, `${JSON.stringify({ fleet, model, ...here }, null, 2)}\n`)
}

await main()
