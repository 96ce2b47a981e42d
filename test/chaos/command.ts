import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { Command } from 'commander'
import { readOptions, wholeNumber } from '../../orchestrator/cli/flags.js'
import { version } from '../../orchestrator/cli/version.js'
import { ROOT } from '../harness/root.js'
import { KINDS, kindsNamed } from './faults/kinds.js'
import { readSchedule, type Schedule } from './faults/schedule.js'
import { page } from './report/page.js'
import { summaryOf } from './report/summary.js'
import { viewFor } from './report/view.js'
import type { RunResult } from './run/result.js'
import { Impossible, runChaos } from './run/run.js'
import type { Settings } from './run/settings.js'

/** Beside the exit codes of every program here: 0 nothing wrong, 2 wrong usage, 3 it could not run. */
const VIOLATED = 1
const COULD_NOT = 3
const USAGE = 2
const INTERRUPTED = 130
const SEED_MAX = 2 ** 32 - 1
const SEEDS = 1_000_000
const PER_KEY_MS = 20_000

interface Flags {
  readonly minutes: number
  readonly seed?: number
  readonly faults?: readonly string[]
  readonly schedule?: string
  readonly out?: string
  readonly shards: number
  readonly replicas: number
  readonly rounds?: number
  readonly roundSeconds: number
  readonly light?: boolean
  readonly json?: boolean
}

/** What a schedule has decided already. A seed may go with one: then clients do something else. */
const DECIDED = ['minutes', 'faults', 'shards', 'replicas', 'rounds', 'roundSeconds'] as const

/** With the options of those that were really given. */
type Given = Flags & { readonly decided: readonly string[] }

function readFlags(argv: readonly string[]): Given {
  const words = (text: string): readonly string[] => text.split(',').filter((word) => word !== '')
  const names = KINDS.map(({ name, about }) => `  ${name.padEnd(20)} ${about}`).join('\n')
  const command = new Command('chaos')
    .description(
      'Starts a cluster of its own, breaks it in every way it knows, and checks every answer that clients get.',
    )
    .option('--minutes <count>', 'how long it goes on, in rounds', wholeNumber(1, 100_000), 5)
    .option(
      '--seed <number>',
      'draws the same faults again, with the same kinds, shape and length of rounds (default: another one each time)',
      wholeNumber(0, SEED_MAX),
    )
    .option(
      '--faults <kinds>',
      'only these, comma-separated; "kill" is all that begin so, "process", "network" and "disk" are groups (default: all)',
      words,
    )
    .option(
      '--schedule <file>',
      'replays the faults that a run has drawn, all its rounds and on its shape, in place of drawing',
    )
    .option(
      '--out <folder>',
      'new or empty, for the report, and for everything when something is wrong (default: data/chaos/<seed>)',
    )
    .option('--shards <count>', 'of the cluster', wholeNumber(1, 64), 3)
    .option('--replicas <count>', 'of each shard', wholeNumber(1, 7), 3)
    .option('--rounds <count>', 'at most so many', wholeNumber(1, 1_000_000))
    .option(
      '--round-seconds <count>',
      'how long faults go on before all is healed and checked',
      wholeNumber(5, 3_600),
      30,
    )
    .option('--light', 'with two clients only: for the time without service on a machine with few processors')
    .option('--json', 'print the result as JSON on stdout')
    .addHelpText('after', `\nFaults:\n${names}\n`)
    .addHelpText(
      'after',
      'Exit codes: 0 nothing wrong (but for keys that are said to be not decided), 1 a violation, 2 wrong usage, 3 could not run, 130 interrupted.',
    )
  const flags = readOptions<Flags>(command, argv)
  const given = DECIDED.filter((name) => command.getOptionValueSource(name) === 'cli')
  const optionOf = (name: string): string | undefined =>
    command.options.find((option) => option.attributeName() === name)?.long ?? undefined
  return { ...flags, decided: given.flatMap((name) => optionOf(name) ?? []) }
}

function settingsOf(flags: Given): Settings {
  if (flags.schedule !== undefined && flags.decided.length > 0) {
    throw new TypeError(`--schedule decides that already: leave out ${flags.decided.join(', ')}`)
  }
  const { faults, minutes, rounds = Number.POSITIVE_INFINITY, roundSeconds } = flags
  const schedule = flags.schedule === undefined ? undefined : scheduleIn(flags.schedule)
  const seed = flags.seed ?? schedule?.seed ?? Date.now() % SEEDS
  return {
    seed,
    shape: schedule?.shape ?? { shards: flags.shards, replicas: flags.replicas },
    kinds: kindsOf(faults, schedule),
    roundMs: schedule?.roundMs ?? roundSeconds * 1_000,
    runMs: minutes * 60_000,
    roundsMax: rounds,
    schedule,
    out: flags.out === undefined ? freshFolder(join(ROOT, 'data', 'chaos', String(seed))) : emptyFolder(flags.out),
    light: flags.light ?? false,
    perKeyMs: PER_KEY_MS,
    versions: { kvorum: version(), node: process.versions.node, platform: `${process.platform} ${process.arch}` },
  }
}

/** Nothing of an earlier run is written over: it may be the evidence. */
function emptyFolder(path: string): string {
  if (isFree(path)) return path
  throw new TypeError(`--out ${path}: there is something already; name a new or an empty folder`)
}

function freshFolder(path: string): string {
  for (let n = 1; ; n++) {
    const numbered = n === 1 ? path : `${path}-${n}`
    if (isFree(numbered)) return numbered
  }
}

function isFree(path: string): boolean {
  return !existsSync(path) || (statSync(path).isDirectory() && readdirSync(path).length === 0)
}

function kindsOf(words: readonly string[] | undefined, schedule: Schedule | undefined): Settings['kinds'] {
  if (schedule !== undefined) return kindsNamed([...new Set(schedule.rounds.flat().map(({ plan }) => plan.kind))])
  return words === undefined ? KINDS : kindsNamed(words)
}

/** Each line of what is wrong says where. */
function scheduleIn(path: string): Schedule {
  try {
    const names = KINDS.map(({ name }) => name)
    return readSchedule(readFileSync(path, 'utf8'), names)
  } catch (error) {
    const lines = (error as Error).message.split('\n')
    throw new TypeError(lines.map((line) => `${path}: ${line}`).join('\n'), { cause: error })
  }
}

/** The first Ctrl-C ends the run in order, the second one at once. Either way no process stays. */
function untilInterrupted(): AbortSignal {
  const over = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (over.signal.aborted) process.exit(INTERRUPTED)
      process.stderr.write('\nchaos: ending; once more ends it at once\n')
      over.abort(new Error('interrupted'))
    })
  }
  return over.signal
}

/** The command line as a program has it; gives the exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  const flags = readFlags(argv)
  const { json = false } = flags
  let settings: Settings
  try {
    settings = settingsOf(flags)
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    for (const line of error.message.split('\n')) console.error(`chaos: ${line}`)
    return USAGE
  }
  const view = viewFor(process.stderr)
  const { seed, shape, out, kinds } = settings
  view.say(`seed ${seed}, ${shape.shards} shards x ${shape.replicas} replicas, ${kinds.length} kinds of faults, ${out}`)
  try {
    const result = await runChaos(settings, view, untilInterrupted())
    view.end()
    write(result, out)
    console.log(json ? JSON.stringify(summaryOf(result).json) : summaryOf(result).text)
    console.error(`chaos: report in ${relative(process.cwd(), join(out, 'report.html'))}`)
    if (result.counts.undecided > 0) {
      console.error(`chaos: the histories of keys that were not decided within ${PER_KEY_MS / 1_000} s are in ${out}`)
    }
    if (result.violations.length === 0) return result.interrupted ? INTERRUPTED : 0
    console.error(
      `chaos: VIOLATION; all of it is in ${out}; again: npm run chaos -- --schedule ${join(out, 'schedule.json')}`,
    )
    return VIOLATED
  } catch (error) {
    view.end()
    if (error instanceof Impossible) {
      console.error(`chaos: ${error.message}`)
      return USAGE
    }
    console.error('chaos: could not run:', error)
    return COULD_NOT
  }
}

function write(result: RunResult, out: string): void {
  mkdirSync(out, { recursive: true })
  writeFileSync(join(out, 'report.html'), page(result, out))
  writeFileSync(join(out, 'report.json'), `${JSON.stringify(summaryOf(result).json, null, 2)}\n`)
}
