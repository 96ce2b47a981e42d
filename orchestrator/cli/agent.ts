import { fileURLToPath } from 'node:url'
import { type Command, Option } from 'commander'
import { coloursFor, logTelemetry } from '../telemetry/index.js'
import type { Context } from './context.js'
import { EXIT } from './exit-codes.js'
import { helpOf } from './help.js'

const LEVELS = ['debug', 'info', 'warn', 'error'] as const

interface AgentFlags {
  readonly listen: string
  readonly data: string
  readonly name: string
  readonly zone?: string
  readonly insecure?: boolean
  readonly kvnode: string
  readonly logLevel: (typeof LEVELS)[number]
}

const NODE_PROGRAM = fileURLToPath(new URL('../../bin/kvnode', import.meta.url))

const AFTER = `
Nodes listen on the same host as the agent. They outlive it: Ctrl-C, SIGTERM or a crash end the agent alone, and the next one
on the same data finds them. Stopping the orchestrator stops them. An agent belongs to the cluster that has started the first
node there; another --data is for another cluster.`

/** `kvorum agent`: needs no cluster, and runs until a signal ends it. */
export function addAgent(program: Command, context: Context, done: (code: number) => void): void {
  program
    .command('agent')
    .description('run on each machine of a cluster: starts and stops nodes for npm start -- --driver agent')
    .requiredOption('--data <directory>', 'where the data of its nodes is')
    .requiredOption('--name <name>', "the machine's name, which stays for ever: nodes are recorded by it")
    .option('--listen <host:port>', 'where the orchestrator reaches it; port 0 takes a free one', '127.0.0.1:7100')
    .option('--zone <name>', 'what may be lost together with it: a rack, a room (default: its name)')
    .option(
      '--insecure',
      'allow --listen beyond loopback, for its nodes too: nothing is encrypted or authenticated yet',
    )
    .option('--kvnode <path>', 'the node program', NODE_PROGRAM)
    .addOption(
      new Option('--log-level <level>', 'least severity that is logged, on stderr').choices(LEVELS).default('info'),
    )
    .addHelpText('after', AFTER)
    .addHelpText('afterAll', () => helpOf('agent'))
    .action(async (flags: AgentFlags) => done(await agent(flags, context)))
}

async function agent(flags: AgentFlags, { out, warn, version }: Context): Promise<number> {
  const { logLevel, kvnode, zone = flags.name, insecure = false, ...rest } = flags
  const { stderr } = process
  const format = stderr.isTTY === true ? 'text' : 'json'
  const colours = coloursFor(stderr, process.env)
  const telemetry = logTelemetry({ level: logLevel, requests: false, format, to: stderr, colours })
  // Only here: the other commands need neither a database nor processes.
  const { isFault, isUsage, runAgent } = await import('../agent/index.js')
  try {
    await runAgent({ ...rest, zone, insecure, program: kvnode, version, telemetry }, { out, warn })
    return EXIT.ok
  } catch (error) {
    if (!isFault(error)) throw error
    warn(`kvorum agent: ${error.message}\n`)
    return isUsage(error) ? EXIT.usage : EXIT.failed
  }
}
