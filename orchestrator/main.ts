// The orchestrator: the only place that wires the rooms together.
import { hostname } from 'node:os'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { version } from './cli/version.js'
import { helpText } from './config/help.js'
import { type Config, ConfigFault, httpPortOf, listOf, loadConfig } from './config/load.js'
import {
  agentDriver,
  type ClusterOptions,
  DataDirectory,
  type Ending,
  flagsOf,
  localDriver,
  Orchestrator,
  type OrchestratorOptions,
  readNodes,
  StartFault,
  type Stop,
  staticDriver,
  stopOnSignals,
  throughProxy,
  UsageFault,
  wireLinks,
  wirePeers,
} from './control/index.js'
import { systemClock } from './core/clock.js'
import type { Limits } from './core/limits.js'
import { systemRng } from './core/rng.js'
import { type Gateway, serveGateway } from './gateway/index.js'
import { type HttpGateway, serveHttp } from './http/index.js'
import { Store } from './store/index.js'
import { coloursFor, logTelemetry, type Telemetry } from './telemetry/index.js'
import { controlService } from './wire/control.js'
import { ListenError, listen } from './wire/listener.js'
import { standbyService } from './wire/standby.js'

/** How long requests in progress are waited for when it is time to stop. */
const DRAIN_MS = 1_000

/** The command line or the configuration is not one. As the other programs say it. */
const EXIT_USAGE = 2

const NODE_PROGRAM = fileURLToPath(new URL('../bin/kvnode', import.meta.url))

/** With the program that nodes are really started with. */
type Started = Config & { readonly kvnode: string }

/** How nodes come to be, and the cluster that they were started for if somebody else has started them. */
type Nodes = Pick<ClusterOptions, 'driver' | 'clusterId'>

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
      ending = await serve({ ...config, kvnode: program }, telemetry, until)
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

/** Starts everything, says that it is ready, waits until it is to stop, and stops everything in the reverse order. */
async function serve(config: Started, telemetry: Telemetry, stop: Stop): Promise<Ending> {
  await expectFree(config)
  const nodes = openDriver(config, telemetry)
  try {
    return await serveWith(nodes, config, telemetry, stop)
  } finally {
    await nodes.driver.close()
  }
}

async function serveWith(nodes: Nodes, config: Started, telemetry: Telemetry, stop: Stop): Promise<Ending> {
  const orchestrator = await orchestratorFor(config, nodes, telemetry, stop)
  let ending: Ending
  try {
    const store = new Store({ map: orchestrator.maps, limits: limitsOf(config), relayed: true })
    try {
      const gateway = await openGateway(config, orchestrator, store, telemetry)
      const http = await openHttp(config, orchestrator, store, telemetry).catch(async (error: unknown) => {
        await gateway.close()
        throw error
      })
      orchestrator.listens(reachable(gateway.address))
      process.stdout.write(readyLine(gateway, http, orchestrator, config))
      await aborted(stop.asked)
      http?.drain()
      await orchestrator.retire(stop.forced)
      await Promise.all([gateway.close(DRAIN_MS), http?.close(DRAIN_MS)])
    } finally {
      store.close()
    }
  } finally {
    ending = await orchestrator.stop(stop.forced)
  }
  return ending
}

function orchestratorFor(config: Started, nodes: Nodes, telemetry: Telemetry, stop: Stop): Promise<Orchestrator> {
  const options = orchestratorOptions(config, nodes, telemetry)
  if (config.join === undefined) return Orchestrator.found(options, stop)
  return Orchestrator.join(options, config.join.split(','), stop)
}

function readyLine(
  { address }: Gateway,
  http: HttpGateway | undefined,
  { role, shape }: Orchestrator,
  { join, data }: Config,
): string {
  const { shards, replicas } = shape
  const also = http === undefined ? '' : `http=${http.address} `
  const joined = join === undefined ? '' : `role=${role} `
  return `kvorum ready grpc=${address} ${also}shards=${shards} replicas=${replicas} ${joined}data=${data}\n`
}

/** Others cannot connect to "any address". */
function reachable(address: string): string {
  return address.replace(/^(?:0\.0\.0\.0|\[::\]):/, `${hostname()}:`)
}

function openGateway(config: Config, orchestrator: Orchestrator, store: Store, telemetry: Telemetry): Promise<Gateway> {
  const { host, port, insecure } = config
  return serveGateway({
    store,
    maps: orchestrator.maps,
    host,
    port,
    insecure,
    limits: limitsOf(config),
    telemetry,
    services: [controlService(orchestrator.control), standbyService(orchestrator.standby)],
  })
}

async function openHttp(
  config: Config,
  orchestrator: Orchestrator,
  store: Store,
  telemetry: Telemetry,
): Promise<HttpGateway | undefined> {
  const { host, insecure } = config
  const port = httpPortOf(config)
  if (port === undefined) return undefined
  const status = () => orchestrator.control.status()
  return serveHttp({ store, status, host, port, insecure, limits: limitsOf(config), telemetry })
}

/** A port that is in use is better told before a dozen processes are started. */
async function expectFree(config: Config): Promise<void> {
  const { host, insecure } = config
  const wanted = [
    ['--port', config.port],
    ['--http-port', httpPortOf(config) ?? 0],
  ] as const
  for (const [option, port] of wanted) {
    if (port === 0) continue
    const listener = await listen({ host, port, insecure, option }, [])
    await listener.close()
  }
}

function openDriver(config: Started, telemetry: Telemetry): Nodes {
  const { agents, nodes = '', faultProxy, kvnode, logLevel, valueBytesMax } = config
  const settings = { logLevel, valueBytesMax }
  switch (config.driver) {
    case 'agent':
      return { driver: agentDriver({ agents: listOf(agents), settings, telemetry }) }
    case 'static': {
      const list = readNodes(nodes)
      return { driver: staticDriver(list, settings), clusterId: list.cluster }
    }
    case 'local':
      return { driver: localDriver({ program: kvnode, flags: flagsOf(settings), wrapped: faultProxy }) }
  }
}

function orchestratorOptions(config: Started, nodes: Nodes, telemetry: Telemetry): OrchestratorOptions {
  const { shards, replicas, startTimeoutMs, stopTimeoutMs, lingerMs, deadlineMs } = config
  const { replaceAfterMs, replaceMachineAfterMs } = config
  return {
    directory: new DataDirectory(config.data),
    shape: { shards, replicas },
    ...nodes,
    links: wireLinks(),
    peers: wirePeers(),
    telemetry,
    clock: systemClock,
    rng: systemRng,
    pid: process.pid,
    startTimeoutMs,
    stopTimeoutMs,
    lingerMs: Math.max(lingerMs, deadlineMs),
    replaceAfterMs,
    replaceMachineAfterMs,
  }
}

function limitsOf(config: Config): Limits {
  const { keyBytesMax, valueBytesMax, batchBytesMax, batchOperationsMax } = config
  const { inFlightBytesMax, inFlightOperationsMax, deadlineMs } = config
  return {
    keyBytesMax,
    valueBytesMax,
    batchBytesMax,
    batchOperationsMax,
    inFlightBytesMax,
    inFlightOperationsMax,
    deadlineMs,
  }
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

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
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
