// npm run bench -- reshard [--keys 100000] [--callers 64 | --rate 4000] [--to 5] [--json file] [--svg file]
// What callers notice of a change of the number of shards, there and back.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Command } from 'commander'
import { EXIT } from '../../orchestrator/cli/exit-codes.js'
import { readOptions, wholeNumber } from '../../orchestrator/cli/flags.js'
import { ControlClient, MoveState, type Operation } from '../../orchestrator/wire/control.js'
import { Cluster } from '../../test/harness/cluster.js'
import { ask } from '../load/ask.js'
import { machine } from '../load/figures.js'
import { INTERRUPTED, interrupted, listenForSignals, untilInterrupted } from '../load/interrupt.js'
import { outputFile } from '../load/options.js'
import { figuresOf, type Phase, percentile } from './phases.js'
import type { Ended, Load } from './protocol.js'
import { chartOf, tableOf } from './render.js'

interface Flags {
  readonly keys: number
  readonly valueBytes: number
  readonly callers: number
  readonly rate?: number
  readonly from: number
  readonly to: number
  readonly replicas: number
  readonly seconds: number
  readonly json?: string
  readonly svg?: string
}

/** The exit code of a benchmark that is no figure. */
const OPERATIONS_FAILED = 1
const DRIVER = fileURLToPath(new URL('driver.js', import.meta.url))
const INTERVAL_MS = 250
const CALL_MS = 10_000

function readFlags(): Flags {
  const command = new Command('bench reshard')
    .description(
      'What callers notice of kvorum scale: puts and gets in equal parts while shards are added and taken away.',
    )
    .option('--keys <count>', 'keys that are there and asked for', wholeNumber(1, 10_000_000), 100_000)
    .option('--value-bytes <count>', 'length of a value', wholeNumber(1, 1 << 20), 256)
    .option('--callers <count>', 'each with one operation at a time', wholeNumber(1, 4096), 64)
    .option('--rate <per second>', 'operations, whether or not earlier ones are answered', wholeNumber(1, 1_000_000))
    .option('--from <shards>', 'shards at the beginning and at the end', wholeNumber(1, 16), 3)
    .option('--to <shards>', 'shards in between', wholeNumber(1, 16), 5)
    .option('--replicas <count>', 'of each shard', wholeNumber(1, 5), 3)
    .option('--seconds <count>', 'of quiet before, in between and behind', wholeNumber(1, 600), 10)
    .option('--json <file>', 'write the figures, interval by interval, to a file', outputFile)
    .option('--svg <file>', 'write a chart to a file', outputFile)
    .addHelpText('after', '\nExit codes: 0 done, 1 operations failed, 2 wrong usage, 130 interrupted.')
  return readOptions(command)
}

/** Ms since 1970, as the driver has it. */
const now = (): number => performance.timeOrigin + performance.now()

interface Reshard {
  readonly phase: Phase
  /** Of each partition that moved: how long its writes waited, ms. */
  readonly pausesMs: readonly number[]
  readonly records: number
  readonly bytes: number
}

/** Scales and waits for its end. The phase is that of the moves: what is started before them and stopped after is not in it. */
async function reshard(client: ControlClient, shards: number, name: string): Promise<Reshard> {
  const { id } = await client.scale(shards, { deadlineMs: CALL_MS, dryRun: false })
  let from: number | undefined
  let to: number | undefined
  let last: Operation | undefined
  for await (const operation of client.watch(id, interrupted)) {
    last = operation
    const { moves } = operation
    if (moves.some(({ state }) => state !== MoveState.WAITING)) from ??= now()
    if (moves.every(({ state }) => state === MoveState.DONE)) to ??= now()
  }
  const moves = last?.moves ?? []
  const pausesMs = moves.flatMap(({ partitions, pauseUs }) => {
    const count = partitions.reduce((sum, range) => sum + range.last - range.first + 1, 0)
    return Array.from({ length: count }, () => Number(pauseUs) / 1000)
  })
  const sum = (of: (move: Operation['moves'][number]) => bigint) =>
    Number(moves.reduce((total, move) => total + of(move), 0n))
  const phase = { name, from: from ?? now(), to: to ?? now() }
  return { phase, pausesMs, records: sum(({ records }) => records), bytes: sum(({ bytes }) => bytes) }
}

async function quiet(name: string, seconds: number): Promise<Phase> {
  const from = now()
  await pause(seconds * 1000, undefined, { signal: interrupted })
  return { name, from, to: now() }
}

async function measure(flags: Flags, cluster: Cluster, driver: ChildProcess) {
  const { from, to, seconds, callers, rate, keys, valueBytes } = flags
  const load: Load = { address: cluster.address, callers, rate, keys, valueBytes, everyMs: INTERVAL_MS }
  console.error(`bench: ${keys} keys are put`)
  await ask(driver, load)
  const client = new ControlClient(cluster.address)
  try {
    await quiet('warm', 2)
    const before = await quiet(`before, ${from} shards`, seconds)
    console.error(`bench: from ${from} to ${to} shards`)
    const there = await reshard(client, to, `moves ${from} to ${to}`)
    const between = await quiet(`between, ${to} shards`, seconds)
    console.error(`bench: from ${to} to ${from} shards`)
    const back = await reshard(client, from, `moves ${to} to ${from}`)
    const behind = await quiet(`behind, ${from} shards`, seconds)
    const ended = (await ask(driver, 'end')) as Ended
    return { ended, there, back, phases: [before, there.phase, between, back.phase, behind] }
  } finally {
    client.close()
  }
}

async function run(flags: Flags): Promise<number> {
  const cluster = await Cluster.start({ shards: flags.from, replicas: flags.replicas, args: ['--linger-ms', '1000'] })
  const driver = fork(DRIVER, { serialization: 'advanced' })
  try {
    const { ended, there, back, phases } = await untilInterrupted(measure(flags, cluster, driver))
    const figures = phases.map((phase) => figuresOf(phase, ended.intervals, INTERVAL_MS))
    console.log(tableOf(figures))
    for (const { phase, pausesMs, records, bytes } of [there, back]) {
      const [p50, p99] = [percentile(pausesMs, 50), percentile(pausesMs, 99)].map((ms) => ms.toFixed(1))
      const what = `${pausesMs.length} partitions, ${records} records, ${(bytes / (1 << 20)).toFixed(0)} MiB`
      console.log(`${phase.name}: ${what}; their writes waited: p50 ${p50} ms, p99 ${p99} ms`)
    }
    const all = { machine: machine(), flags, figures, there, back, ...ended }
    if (flags.json !== undefined) writeFileSync(flags.json, `${JSON.stringify(all, null, 1)}\n`)
    if (flags.svg !== undefined) {
      writeFileSync(flags.svg, chartOf(ended.intervals, [there.phase, back.phase], INTERVAL_MS))
    }
    if (ended.firstError !== '') console.error(`bench: the first error: ${ended.firstError}`)
    return ended.firstError === '' ? EXIT.ok : OPERATIONS_FAILED
  } catch (error) {
    if (!interrupted.aborted) throw error
    return INTERRUPTED
  } finally {
    if (driver.exitCode === null && driver.signalCode === null) {
      driver.kill('SIGKILL')
      await once(driver, 'exit')
    }
    await cluster.dispose()
  }
}

const flags = readFlags()
listenForSignals()
process.exitCode = await run(flags)
