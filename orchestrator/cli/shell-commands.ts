import { Argument, type Command } from 'commander'
import { completionFor, SHELLS, type Shell } from './completion.js'
import type { Context } from './context.js'
import { EXIT } from './exit-codes.js'
import { helpOf } from './help.js'
import { keysFrom } from './scan.js'
import { historyFileIn, type RunLine, shell } from './shell.js'

/** What is for the shell that people sit at, and the one of our own. Neither asks a cluster by itself. */
export function addShellCommands(
  program: Command,
  environment: Readonly<Record<string, string | undefined>>,
  context: Context,
  run: RunLine,
  done: (code: number) => void,
): void {
  program
    .command('completion')
    .description('print what a shell needs to complete commands and options')
    .addArgument(new Argument('<shell>', 'whose').choices(SHELLS))
    .addHelpText('afterAll', () => helpOf('completion'))
    .action((name: Shell) => {
      context.out(completionFor(name, program))
      done(EXIT.ok)
    })
  program
    .command('shell')
    .description('type commands without the word kvorum, with history and completion')
    .addHelpText('afterAll', () => helpOf('shell'))
    .action(async () => {
      const { stdin: input, stdout: output } = process
      const { address, timeout } = program.opts<{ address: string; timeout: number }>()
      // The shell's own options are those of every line that has none.
      const patience = program.getOptionValueSource('timeout') === 'default' ? [] : ['--timeout', String(timeout)]
      const within: RunLine = (words, interrupted) => run(['--address', address, ...patience, ...words], interrupted)
      const completeKeys = (prefix: string) => keysFrom(prefix, { address, timeoutMs: timeout })
      const historyFile = historyFileIn(environment)
      done(await shell({ program, completeKeys, run: within, input, output, historyFile }, context))
    })
}
