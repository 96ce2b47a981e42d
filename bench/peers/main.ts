// npm run bench:peers -- [--install] [--runs 3] [--seconds 5] [--only words] [--case words] [--json file] [--svg file]
// Ours and its peers on loopback, all durable in the same way, driven by one Node.js process. In every run each
// contender in turn starts fresh, does all cases and stops: two never share the machine, and what is compared is close
// in time.
import { writeFileSync } from 'node:fs'
import { Command } from 'commander'
import { readOptions, wholeNumber } from '../../orchestrator/cli/flags.js'
import { INTERRUPTED, interrupted, listenForSignals } from '../load/interrupt.js'
import { choice, outputFile } from '../load/options.js'
import { CASES, type Case } from './cases.js'
import { CONTENDERS, type Contender } from './contenders.js'
import { drive } from './drive.js'
import { judge } from './goals.js'
import type { Figures } from './protocol.js'
import { type Report, toJson, toSvg } from './report.js'
import { caseTable, goalTable } from './table.js'

interface Flags {
  readonly runs: number
  readonly seconds: number
  readonly only: readonly Contender[]
  readonly case: readonly Case[]
  readonly install?: true
  readonly json?: string
  readonly svg?: string
}

const FAILED = 1

function readFlags(): Flags {
  const command = new Command('bench:peers')
    .description('Kvorum beside etcd, Redis Cluster and NATS JetStream KV: three replicas, fsync before every answer.')
    .option('--runs <count>', 'runs of which the median is taken', wholeNumber(1, 1000), 3)
    .option('--seconds <count>', 'length of one measurement', wholeNumber(1, 3600), 5)
    .addOption(choice('--only <words>', 'contenders', CONTENDERS))
    .addOption(choice('--case <words>', 'cases', CASES))
    .option('--install', 'first build and install the servers that are missing (Go; apt-get as root)')
    .option('--json <file>', 'write everything, every run of it, to a file', outputFile)
    .option('--svg <file>', 'write a chart of the rates to a file', outputFile)
  return readOptions(command)
}

function tell(text: string): void {
  console.error(`bench: ${text}`)
}

/** What the chosen contenders need. */
function install(contenders: readonly Contender[]): void {
  for (const { system } of contenders) {
    if (system.missing() !== undefined) system.install((what) => tell(what))
  }
}

/** A contender, measured once: its own servers, its own driver. */
async function once(contender: Contender, job: Job, versions: Map<string, string>): Promise<Map<string, Figures>> {
  const servers = await contender.system.start()
  try {
    interrupted.throwIfAborted()
    versions.set(contender.name, servers.version)
    const { addresses, pids } = servers
    return await drive({ ...job, client: contender.client, addresses, pids }, interrupted)
  } finally {
    await servers.stop()
  }
}

interface Job {
  readonly cases: readonly Case[]
  readonly seconds: number
  readonly seed: number
}

async function measure({ runs: count, seconds, ...flags }: Flags): Promise<Report> {
  const { case: cases, only: all } = flags
  const skipped = all.flatMap(({ name, system }) => {
    const how = system.missing()
    return how === undefined ? [] : [`${name} is skipped, its server is missing: ${how}`]
  })
  for (const line of skipped) tell(line)
  const contenders = all.filter(({ system }) => system.missing() === undefined)
  const versions = new Map<string, string>()
  const runs: Map<string, Map<string, Figures>>[] = []
  const failed: string[] = []
  for (let turn = 1; turn <= count; turn++) {
    const run = new Map<string, Map<string, Figures>>()
    runs.push(run)
    for (const contender of contenders) {
      interrupted.throwIfAborted()
      tell(`run ${turn} of ${count}: ${contender.name}`)
      try {
        run.set(contender.name, await once(contender, { cases, seconds, seed: turn }, versions))
      } catch (error) {
        interrupted.throwIfAborted()
        // The others' figures are still worth having.
        failed.push(`${contender.name} failed in run ${turn}: ${messageOf(error)}`)
        tell(failed.at(-1) ?? '')
      }
    }
  }
  if (failed.length > 0 || contenders.length === 0) process.exitCode = FAILED
  return { cases, contenders, seconds, runs, versions, missing: [...skipped, ...failed] }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function print(report: Report): void {
  const { cases, contenders, runs, missing } = report
  const measured = runs.some((run) => run.size > 0)
  for (const one of measured ? cases : []) console.log(`${caseTable(one.name, contenders, runs)}\n`)
  const judged = judge(runs)
  if (judged.length > 0) console.log(goalTable(judged))
  for (const line of missing) console.log(line)
}

async function main(): Promise<void> {
  const flags = readFlags()
  listenForSignals()
  if (flags.install) install(flags.only)
  const report = await measure(flags)
  print(report)
  if (flags.json !== undefined) writeFileSync(flags.json, toJson(report))
  if (flags.svg !== undefined) writeFileSync(flags.svg, toSvg(report))
}

try {
  await main()
} catch (error) {
  if (!interrupted.aborted) tell(messageOf(error))
  process.exitCode = interrupted.aborted ? INTERRUPTED : FAILED
}
