import { Option } from 'commander'
import { VALUE_BYTES_TOP } from '../core/limits.js'
import { bench } from './bench.js'
import { addBulk } from './bulk/commands.js'
import { type CasFlags, cas, casTaskOf } from './cas.js'
import type { Context } from './context.js'
import { numberIn, wholeNumber } from './flags.js'
import { amountFrom, incr } from './incr.js'
import type { Flags, MakeCommand, Perform } from './program.js'
import { top } from './top.js'

// How the commands that work with keys and loads are asked for.

interface TopFlags extends Flags {
  readonly once?: boolean
  readonly every: number
}

interface BenchFlags extends Flags {
  readonly clients: number
  readonly seconds: number
  readonly valueBytes: number
  readonly gets: number
  readonly keys: number
}

export function addDataCommands(command: MakeCommand, perform: Perform, context: Context): void {
  command('incr <key> [by]', 'add to a number (1 unless said otherwise; an absent key is 0); prints the sum').action(
    (key: string, by: string | undefined, { json }: Flags) => {
      const amount = amountFrom(by ?? '1')
      return perform({ name: 'incr', key, json, writes: true }, (form, to) => incr(key, amount, form, to, context))
    },
  )
  command('cas <key> [words...]', 'set a value if the present one is as expected: cas <key> <expected> <value>')
    .option('--absent', 'if the key has no value: cas <key> <value> --absent')
    .option('--if-version <version>', 'if it has this version: cas <key> <value> --if-version 12')
    .action((key: string, words: string[], { json, ...flags }: Flags & CasFlags) => {
      const task = casTaskOf(key, words, flags)
      return perform({ name: 'cas', key, json, writes: true }, (form, to) => cas(task, form, to, context))
    })
  command('top', 'show who leads and how much each shard and node does, again and again')
    .option('--once', 'one table, of one interval, and end')
    .addOption(new Option('--every <seconds>', 'how often').argParser(numberIn(0.1, 3_600)).default(1))
    .action(({ json, once = false, every }: TopFlags) => {
      const task = { once, everyMs: every * 1_000 }
      return perform({ name: 'top', json }, (form, to) => top(task, form, to, context))
    })
  command('bench', 'put a load on the cluster for a while, with keys of its own, and say what it took')
    .addOption(new Option('--clients <number>', 'callers at once').argParser(wholeNumber(1, 4_096)).default(64))
    .addOption(new Option('--seconds <number>', 'for how long').argParser(numberIn(0.1, 3_600)).default(5))
    .addOption(
      new Option('--value-bytes <number>', 'of each value').argParser(wholeNumber(0, VALUE_BYTES_TOP)).default(256),
    )
    .addOption(new Option('--gets <percent>', 'the others are puts').argParser(wholeNumber(0, 100)).default(50))
    .addOption(new Option('--keys <number>', 'how many').argParser(wholeNumber(1, 1_000_000)).default(1_000))
    .action(({ json, ...task }: BenchFlags) =>
      perform({ name: 'bench', json }, (form, to) => bench(task, form, to, context)),
    )
  addBulk(command, perform, context)
}
