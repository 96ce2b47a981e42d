import { Command, CommanderError } from 'commander'
import { checkAddress } from '../core/address.js'
import { DEADLINE_MS_MAX } from '../core/limits.js'
import { KvError } from '../errors/index.js'
import { addAgent } from './agent.js'
import { append } from './append.js'
import { chaos } from './chaos.js'
import type { Connection, Context, Form } from './context.js'
import { addDataCommands } from './data-commands.js'
import { remove } from './delete.js'
import { type PrefixFlags, prefixTaskOf, removePrefix } from './delete-prefix.js'
import { drain } from './drain.js'
import { EXIT } from './exit-codes.js'
import { type Task, tellFailure } from './failure.js'
import { fault as breakNode } from './fault.js'
import { DEFAULT_DELAY_MS, DEFAULT_FOR_S, DIRECTIONS, FAULTS, type FaultFlags, taskOf } from './fault-task.js'
import { DEFAULT_ADDRESS, wholeNumber } from './flags.js'
import { get } from './get.js'
import { helpOf } from './help.js'
import { addLease, LEASE_FLAG, type LeaseFlag, leaseId } from './lease.js'
import { NODE_ORDERS, type NodeFlags, nodeTaskOf, orderNode } from './node.js'
import { listOperations, STEERS, showOperation, steerOperation } from './operations.js'
import { put } from './put.js'
import { REACH_MS, reach } from './reach.js'
import { roll } from './rolling.js'
import { scale } from './scale.js'
import { count, type ScanFlags, scan } from './scan.js'
import type { RunLine } from './shell.js'
import { addShellCommands } from './shell-commands.js'
import { status } from './status.js'
import { addTtl, duration, TTL_FLAG, type TtlFlag } from './ttl.js'
import { TXN_HELP, textOf, txn } from './txn.js'
import { type WatchFlags, watch } from './watch.js'
import { faultIn, shown } from './words.js'

/** One more is asked for, to see whether there are more. */
const SCAN_LIMIT_MAX = Number.MAX_SAFE_INTEGER - 1
const FAULT_S_MAX = 86_400
const FAULT_MS_MAX = 60_000
/** As the orchestrator has it: more make no sense on one machine. */
const SHARDS_MAX = 256
const REPLICAS_MAX = 7
const milliseconds = wholeNumber(1, DEADLINE_MS_MAX)

/** Runs a command line (without the program's own name) and returns the exit code. Does not throw for what users do. */
export async function runCommand(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
  context: Context,
): Promise<number> {
  const fault = faultIn(args)
  if (fault !== undefined) {
    context.warn(`kvorum: ${fault}\n`)
    return EXIT.usage
  }
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
    .version(context.version, '--version', 'print the version')
    .addHelpText('after', '\nExit codes: 0 done, 1 the key has no value or another one, 2 wrong usage, 3 failed.')
  const perform = async ({ name, key, writes = false, json = false, patienceMs }: Asked, work: Work) => {
    const connection = connectionOf(program, patienceMs)
    const { address } = connection
    const what = key === undefined ? name : `${name} ${shown(key)}`
    done(await attempt({ what, address, writes, json }, connection, context, work))
  }
  // A command takes its options before or after it, so that `kvorum get k --address a` works as well.
  const command = (usage: string, about: string) => {
    const made = program.command(usage).description(about).option('--json', 'for programs')
    return withConnection(program, made).addHelpText('afterAll', () => helpOf(made.name()))
  }
  command('get <key>', "print a key's value")
    .option('--stale <ms>', 'any replica may answer, with what was current so long ago or later', milliseconds)
    .action((key: string, { json, stale }: Flags & { readonly stale?: number }) =>
      perform({ name: 'get', key, json }, (form, connection) => get(key, stale, form, connection, context)),
    )
  command('put <key> <value>', "set a key's value")
    .option('--ttl <time>', TTL_FLAG, duration)
    .option('--lease <id>', LEASE_FLAG, leaseId)
    .action((key: string, value: string, { json, ...lives }: Flags & TtlFlag & LeaseFlag) =>
      perform({ name: 'put', key, json, writes: true }, (form, to) => put(key, value, lives, form, to, context)),
    )
  addTtl(command, perform, context)
  addLease(command, perform, context)
  command('append <key> <value>', "add to the end of a key's value; prints its length in bytes").action(
    (key: string, value: string, { json }: Flags) =>
      perform({ name: 'append', key, json, writes: true }, (form, to) => append(key, value, form, to, context)),
  )
  addDelete(command, perform, context)
  command('txn <file>', 'carry out a transaction, written as JSON in a file or on stdin (-)')
    .addHelpText('after', TXN_HELP)
    .action((file: string, { json }: Flags) => {
      const text = textOf(file)
      return perform({ name: 'txn', json, writes: true }, (form, to) => txn(text, form, to, context))
    })
  addRanges(command, perform, context)
  command('status', 'show the shards and their nodes').action(({ json }: Flags) =>
    perform({ name: 'status', json }, (form, connection) => status(form, connection, context)),
  )
  addFaults(command, perform, context)
  addOperations(command, perform, context)
  addDataCommands(command, perform, context)
  addAgent(program, context, done)
  const runLine: RunLine = (words, interrupted) => runCommand(words, environment, { ...context, interrupted })
  addShellCommands(program, environment, context, runLine, done)
  // It needs no cluster: it starts one. Its options are its own, --help too.
  const breaks = program.command('chaos').description('start a cluster, break it in every way, check every answer')
  breaks
    .allowUnknownOption()
    .allowExcessArguments()
    .helpOption(false)
    .action(async () => done(await chaos(breaks.args, context)))
  return program
}

export type MakeCommand = (name: string, about: string) => Command
export type Perform = (asked: Asked, work: Work) => Promise<void>

function addDelete(command: MakeCommand, perform: Perform, context: Context): void {
  command(
    'delete [key]',
    'delete a key, or every key with a prefix while the cluster serves; returns when that is done',
  )
    .option('--prefix <text>', 'every key that begins so')
    .option('--prefix-hex <bytes>', 'the same for bytes that are no text, like ff00')
    .option('--all', 'every key there is')
    .option('--detach', 'return when it has begun; it goes on by itself')
    .option('--dry-run', 'show how many keys there are, and do nothing')
    .addHelpText('after', '\nA key that is written while its prefix is being deleted may be deleted with the others.')
    .action((key: string | undefined, { json, ...flags }: Flags & PrefixFlags) => {
      const task = prefixTaskOf(key, flags)
      return perform({ name: 'delete', key, json, writes: true }, (form, to) =>
        task === undefined ? remove(key ?? '', form, to, context) : removePrefix(task, form, to, context),
      )
    })
}

function addRanges(command: MakeCommand, perform: Perform, context: Context): void {
  const ranged = (name: string, about: string) =>
    command(name, about)
      .option('--prefix <text>', 'only keys that begin so')
      .option('--from <key>', 'the first key that may be there')
      .option('--to <key>', 'the key before which it ends')
  ranged('scan', 'print keys in their order, over all shards; --timeout is how long any step may take')
    .option('--limit <count>', 'keys at most', wholeNumber(1, SCAN_LIMIT_MAX))
    .option('--cursor <text>', 'goes on behind the last key of a scan that --limit has ended, which tells it on stderr')
    .option('--reverse', 'from the greatest key down')
    .option('--keys-only', 'leave the values out')
    .addHelpText('after', '\n--json prints a line of JSON for each key; bytes that are no UTF-8 are {"base64": "..."}.')
    .action(({ json, ...flags }: Flags & ScanFlags) =>
      perform({ name: 'scan', json }, (form, to) => scan(flags, form, to, context)),
    )
  ranged('count', 'count keys').action(({ json, ...range }: Flags & ScanFlags) =>
    perform({ name: 'count', json }, (form, to) => count(range, form, to, context)),
  )
  command('watch <prefix>', 'print what changes of the keys that begin so, until Ctrl-C; "" for all')
    .option('--from <token>', 'what came with an event of the same watch: goes on after it (default: from now on)')
    .action((prefix: string, { json, ...flags }: Flags & WatchFlags) =>
      perform({ name: 'watch', key: prefix, json }, (form, to) => watch(prefix, flags, form, to, context)),
    )
}

function addFaults(command: MakeCommand, perform: Perform, context: Context): void {
  const ms = wholeNumber(0, FAULT_MS_MAX)
  command('fault <what> [node]', `break a node on this machine for a while, and heal it: ${FAULTS.join(', ')}`)
    .option(
      '--for <seconds>',
      `how long it lasts, also if this command is killed (default: ${DEFAULT_FOR_S}); a killed node is started again at once`,
      wholeNumber(1, FAULT_S_MAX),
    )
    .option(
      '--direction <way>',
      `of a partition: ${DIRECTIONS.join(', ')} (default: both); "in": nothing reaches the node`,
    )
    .option('--ms <count>', `of a delay: of every packet to the node and from it (default: ${DEFAULT_DELAY_MS})`, ms)
    .option('--jitter <ms>', 'of a delay: up to so much more (default: 0)', ms)
    .option('--all', 'heal every node')
    .addHelpText(
      'after',
      '\nPartition and delay need a cluster of npm start -- --fault-proxy. All but a kill also end with Ctrl-C.',
    )
    .action((what: string, node: string | undefined, { json, ...flags }: Flags & FaultFlags) => {
      const task = taskOf(what, node, flags)
      return perform({ name: `fault ${what}`, json }, (form, to) => breakNode(task, form, to, context))
    })
}

function addOperations(command: MakeCommand, perform: Perform, context: Context): void {
  command('scale', 'change the number of shards or of replicas while the cluster serves; returns when that is done')
    .option('--shards <number>', 'how many shards there are to be', wholeNumber(1, SHARDS_MAX))
    .option('--replicas <number>', 'how many nodes each shard is to have, and meta', wholeNumber(1, REPLICAS_MAX))
    .option('--detach', 'return when it has begun; it goes on by itself')
    .option('--dry-run', 'show what would be done, and do nothing')
    .action(({ json, shards, replicas, detach = false, dryRun = false }: Flags & ScaleFlags) => {
      const count = shards ?? replicas
      if (count === undefined || (shards !== undefined && replicas !== undefined)) {
        throw new TypeError('kvorum scale takes --shards or --replicas, one after the other')
      }
      const what = shards === undefined ? 'replicas' : 'shards'
      return perform({ name: 'scale', json }, (form, to) => scale({ what, count, detach, dryRun }, form, to, context))
    })
  addNodes(command, perform, context)
  command('restart [node]', 'restart a node, or all of them, while the cluster serves: one of a shard at a time')
    .option('--rolling', 'every node, one after the other')
    .option('--detach', 'return when it has begun; it goes on by itself')
    .addHelpText('after', '\nA node is named as kvorum status shows it: shard-1/node-2.')
    .action((node: string | undefined, { json, rolling = false, detach = false }: Flags & RestartFlags) => {
      if ((node === undefined) !== rolling)
        throw new TypeError('kvorum restart takes a node, or --rolling for all of them')
      return perform({ name: 'restart', json }, (form, to) => roll({ how: 'restart', node, detach }, form, to, context))
    })
  command(
    'upgrade',
    'replace the node program of every node while the cluster serves; a copy of it is kept with the data',
  )
    .option('--binary <path>', 'the program, on the machine of the server (default: the one that the server came with)')
    .option('--detach', 'return when it has begun; it goes on by itself')
    .addHelpText('after', '\nA node that does not come up with it goes back by itself, and the upgrade pauses.')
    .action(({ json, binary, detach = false }: Flags & UpgradeFlags) =>
      perform({ name: 'upgrade', json }, (form, to) => roll({ how: 'upgrade', binary, detach }, form, to, context)),
    )
  command('operations [how] [id]', `list what is and was under way; or ${STEERS.join(', ')} one of them, by its id`)
    .addHelpText(
      'after',
      '\nA pause begins behind the move, step or node that is under way; a cancelled operation takes back what it has done, but for keys that it has deleted.',
    )
    .action((word: string | undefined, id: string | undefined, { json }: Flags) => {
      if (word === undefined) {
        return perform({ name: 'operations', json }, (form, to) => listOperations(form, to, context))
      }
      const how = STEERS.find((one) => one === word)
      if (how === undefined && id === undefined) {
        return perform({ name: `operations ${word}`, json }, (form, to) => showOperation(word, form, to, context))
      }
      if (how === undefined || id === undefined) {
        throw new TypeError(`kvorum operations takes ${STEERS.join(', ')} and an id, or an id alone, or nothing`)
      }
      return perform({ name: `${how} ${id}`, json }, (form, to) => steerOperation(how, id, form, to, context))
    })
}

function addNodes(command: MakeCommand, perform: Perform, context: Context): void {
  command('node <how> [node]', `${NODE_ORDERS.join(', ')}: put a new node in its place, or have it lead nothing`)
    .option('--machine <name>', 'drain, undrain: every node on this machine instead of one')
    .option('--dry-run', 'drain, undrain: show which leaders would move, and do nothing')
    .option('--detach', 'return when it has begun; it goes on by itself')
    .addHelpText('after', NODE_HELP)
    .action((how: string, node: string | undefined, { json, ...flags }: Flags & NodeFlags) => {
      const task = nodeTaskOf(how, node, flags)
      const name = `node ${how} ${node ?? `--machine ${flags.machine}`}`
      return perform({ name, json }, (form, to) =>
        'drain' in task
          ? drain(task.drain, form, to, context)
          : orderNode(task.replace, task.detach, form, to, context),
      )
    })
}

const NODE_HELP = `
A node is named as kvorum status shows it, like shard-1/node-2, or by its id.
replace: a new node takes the place of one that is lost, or is to go. What is in its directory is removed.
drain: for maintenance, as before a reboot. Its leaders leave at once and do not come back, and no new nodes are placed on a drained
machine, until undrain, also when Kvorum is started again. It goes on voting and keeps its data: moving that away is replace.`

interface ScaleFlags {
  readonly shards?: number
  readonly replicas?: number
  readonly detach?: boolean
  readonly dryRun?: boolean
}

interface RestartFlags {
  readonly rolling?: boolean
  readonly detach?: boolean
}

interface UpgradeFlags {
  readonly binary?: string
  readonly detach?: boolean
}

export interface Flags {
  readonly json?: boolean
}

interface Asked extends Flags {
  readonly name: string
  readonly key?: string
  readonly writes?: boolean
  /** How long it may take unless --timeout says so; default: as all do. */
  readonly patienceMs?: number
}

/** Throws a TypeError for an address that cannot be one. */
function connectionOf(program: Command, patienceMs: number | undefined): Connection {
  const { address, timeout } = program.opts<{ address: string; timeout: number }>()
  checkAddress(address)
  const isDefault = program.getOptionValueSource('timeout') === 'default'
  return { address, timeoutMs: isDefault ? (patienceMs ?? timeout) : timeout }
}

/** What a command does. Gives the exit code. */
type Work = (form: Form, connection: Connection) => Promise<number>

async function attempt(task: Task, connection: Connection, context: Context, work: Work): Promise<number> {
  try {
    await reach(connection.address, Math.min(connection.timeoutMs, REACH_MS))
    return await work({ json: task.json }, connection)
  } catch (error) {
    // Whatever it was that did not come to its end: that was the wish.
    if (context.interrupted?.aborted) return EXIT.failed
    if (error instanceof KvError) return tellFailure(error, task, context)
    throw error
  }
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

function explain(error: unknown, { warn }: Context): number {
  // Commander has said it already, and --help is no fault.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage
  // A TypeError is a key or an address that cannot be one.
  if (error instanceof TypeError) {
    warn(`kvorum: ${error.message}\n`)
    return EXIT.usage
  }
  throw error
}
