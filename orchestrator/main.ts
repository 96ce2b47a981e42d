// `npm start`: a server in a process of its own, with its command line, signals, log and last words.
import { resolve } from 'node:path'
import { version } from './cli/version.js'
import { helpText } from './config/help.js'
import { type Config, ConfigFault, loadConfig } from './config/load.js'
import { DataDirectory, type Ending, StartFault, stopOnSignals, throughProxy, UsageFault } from './control/index.js'
import { systemClock } from './core/clock.js'
import { NODE_PROGRAM, type Ready, serve } from './server.js'
import { coloursFor, logTelemetry, type Telemetry } from './telemetry/index.js'
import { ListenError } from './wire/listener.js'

/** The command line or the configuration is not one. As the other programs say it. */
const EXIT_USAGE = 2

async function main(): Promise<void> {
  const request = loadConfig(process.argv.slice(2), process.env)
  if (request.ask === 'run') await run(request.config)
  else process.stdout.write(request.ask === 'help' ? helpText() : `${version()}\n`)
}

async function run(config: Config): Promise<void> {
  const telemetry = telemetryFor(config)
  const stop = stopOnSignals(process, systemClock, telemetry)
  const { data, faultProxy: proxy, kvnode = NODE_PROGRAM } = config
  const wish = { directory: new DataDirectory(data), program: resolve(kvnode), proxy, telemetry }
  let ending: Ending | undefined
  try {
    await throughProxy(wish, stop, async (program, until) => {
      const tell = (ready: Ready) => void process.stdout.write(readyLine(ready, config))
      ending = await serve({ ...config, kvnode: program }, telemetry, until, tell)
    })
  } catch (error) {
    // A start that was not wanted any more has done what was wanted of it.
    if (!stop.asked.aborted) throw error
  }
  // Like the ready line no log, but the answer to whoever asked for it.
  process.stderr.write(`kvorum stopped; ${lastWords(ending, config)}\n`)
}

/** `ending` is undefined when a start was ended before it was done. */
function lastWords(ending: Ending | undefined, { data, join }: Config): string {
  if (ending === undefined && join !== undefined) return `it had not joined ${join} yet`
  if (ending === undefined) return `data is in ${data}`
  if (ending.nodes === 'stopped' && ending.but !== undefined) {
    return `data is in ${data}. These nodes were left running, the next start finds them: ${ending.but}`
  }
  if (ending.nodes === 'stopped') return `data is in ${data}`
  if (ending.to !== '') return `the nodes go on under the orchestrator at ${ending.to}`
  return 'the nodes go on, and no orchestrator is known that runs them'
}

function readyLine({ grpc, http, role, shape }: Ready, { join, data }: Config): string {
  const { shards, replicas } = shape
  const also = http === undefined ? '' : `http=${http} `
  const joined = join === undefined ? '' : `role=${role} `
  return `kvorum ready grpc=${grpc} ${also}shards=${shards} replicas=${replicas} ${joined}data=${data}\n`
}

function telemetryFor({ logFormat, logLevel, logRequests }: Config): Telemetry {
  const isTerminal = process.stderr.isTTY === true
  return logTelemetry({
    level: logLevel,
    requests: logRequests,
    format: logFormat === 'auto' ? (isTerminal ? 'text' : 'json') : logFormat,
    to: process.stderr,
    colours: coloursFor(process.stderr, process.env),
  })
}

/** What a person can do something about is told in one line each, anything else with its stack. */
function explain(error: unknown): string {
  if (error instanceof ConfigFault) return [...error.faults, 'see --help'].map((fault) => `kvorum: ${fault}`).join('\n')
  if (error instanceof StartFault || error instanceof ListenError) return `kvorum: ${error.message}`
  return `kvorum: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`
}

// Whoever read our output may have gone (`npm start | head -1`). That is no reason to stop serving.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})

main().catch((error: unknown) => {
  process.stderr.write(`${explain(error)}\n`)
  process.exitCode = error instanceof ConfigFault || error instanceof UsageFault ? EXIT_USAGE : 1
})
