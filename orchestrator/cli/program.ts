import { Command, CommanderError, InvalidArgumentError } from 'commander'
import { checkAddress } from '../core/address.js'
import { DEADLINE_MS_MAX } from '../core/limits.js'
import { KvError } from '../errors/index.js'
import type { Connection, Context } from './context.js'
import { remove } from './delete.js'
import { EXIT } from './exit-codes.js'
import { get } from './get.js'
import { put } from './put.js'
import { status } from './status.js'

const DEFAULT_ADDRESS = 'localhost:7000'

/** Runs a command line (without the program's own name) and returns the exit code. Does not throw for what users do. */
export async function runCommand(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
  context: Context,
): Promise<number> {
  let code: number = EXIT.ok
  const program = programFor(environment, context, (exitCode) => {
    code = exitCode
  })
  try {
    await program.parseAsync([...args], { from: 'user' })
    return code
  } catch (error) {
    return explain(error, context)
  }
}

function programFor(
  environment: Readonly<Record<string, string | undefined>>,
  context: Context,
  done: (code: number) => void,
): Command {
  const program = new Command('kvorum')
    .description('Talks to a Kvorum cluster.')
    .option('--address <host:port>', 'a gateway (or KVORUM_ADDRESS)', environment.KVORUM_ADDRESS ?? DEFAULT_ADDRESS)
    .option('--timeout <ms>', 'how long a command may take', milliseconds, 5_000)
    .configureOutput({ writeOut: context.out, writeErr: context.warn })
    .exitOverride()
    .addHelpText('after', '\nExit codes: 0 done, 1 the key has no value, 2 wrong usage, 3 failed.')
  const connection = (): Connection => {
    const { address, timeout } = program.opts<{ address: string; timeout: number }>()
    checkAddress(address)
    return { address, timeoutMs: timeout }
  }
  // A command takes its options before or after it, so that `kvorum get k --address a` works as well.
  const command = (name: string, about: string) => withConnection(program, program.command(name).description(about))
  command('get <key>', "print a key's value").action(async (key: string) => done(await get(key, connection(), context)))
  command('put <key> <value>', "set a key's value").action(async (key: string, value: string) =>
    done(await put(key, value, connection(), context)),
  )
  command('delete <key>', 'delete a key').action(async (key: string) => done(await remove(key, connection(), context)))
  command('status', 'show the shards and their nodes')
    .option('--json', 'for programs')
    .action(async ({ json = false }: { json?: boolean }) => done(await status({ json }, connection(), context)))
  return program
}

function withConnection(program: Command, command: Command): Command {
  const take = (name: string) => (value: string) => {
    program.setOptionValue(name, value)
    return value
  }
  return command
    .option('--address <host:port>', 'a gateway', take('address'))
    .option('--timeout <ms>', 'how long the command may take', (value) => {
      program.setOptionValue('timeout', milliseconds(value))
      return value
    })
}

function milliseconds(text: string): number {
  const ms = Number(text)
  if (Number.isInteger(ms) && ms >= 1 && ms <= DEADLINE_MS_MAX) return ms
  throw new InvalidArgumentError(`a whole number from 1 to ${DEADLINE_MS_MAX} is needed`)
}

function explain(error: unknown, { warn }: Context): number {
  // Commander has said it already, and --help is no fault.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage
  if (error instanceof KvError) {
    warn(`kvorum: ${error.message} (${error.code}, ${error.outcome})\n`)
    return error.code === 'INVALID_ARGUMENT' || error.code === 'TOO_LARGE' ? EXIT.usage : EXIT.failed
  }
  // A TypeError is a key or an address that cannot be one.
  if (error instanceof TypeError) {
    warn(`kvorum: ${error.message}\n`)
    return EXIT.usage
  }
  throw error
}
