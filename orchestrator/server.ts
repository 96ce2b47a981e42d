// A Kvorum server: the only place that wires the rooms together. `npm start` is main.ts, which gives it a process.
import { hostname } from 'node:os'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Config, configFrom, httpPortOf, listOf } from './config/load.js'
import {
  agentDriver,
  type ClusterOptions,
  DataDirectory,
  type Ending,
  flagsOf,
  localDriver,
  Orchestrator,
  type OrchestratorOptions,
  type Role,
  readNodes,
  type Shape,
  type Stop,
  staticDriver,
  wireLinks,
  wirePeers,
} from './control/index.js'
import { systemClock } from './core/clock.js'
import type { Limits } from './core/limits.js'
import { systemRng } from './core/rng.js'
import { describe } from './core/words.js'
import { type Gateway, serveGateway } from './gateway/index.js'
import { type HttpGateway, serveHttp } from './http/index.js'
import { Store } from './store/index.js'
import { clusterWatches } from './store/watch/watches.js'
import { silent, type Telemetry } from './telemetry/index.js'
import { controlService } from './wire/control.js'
import { listen } from './wire/listener.js'
import { standbyService } from './wire/standby.js'

/** How long requests in progress are waited for when it is time to stop. */
const DRAIN_MS = 1_000

/** The one that was built with this code. */
export const NODE_PROGRAM = fileURLToPath(new URL('../bin/kvnode', import.meta.url))

/** With the program that nodes are really started with. */
export type Started = Config & { readonly kvnode: string }

/** How nodes come to be, and the cluster that they were started for if somebody else has started them. */
type Nodes = Pick<ClusterOptions, 'driver' | 'clusterId'>

/** What is known of a server when every shard has a leader. */
export interface Ready {
  /** host:port of the gateway. */
  readonly grpc: string
  /** The same for HTTP/JSON; undefined when that is not served. */
  readonly http: string | undefined
  readonly role: Role
  readonly shape: Shape
}

type OnReady = (ready: Ready) => void

/** The options of `npm start`, by their names in the config file: `npm start -- --help` tells of each. Default: those of a start without any. */
export type ServerOptions = Partial<Omit<Config, 'faultProxy' | 'logFormat' | 'logLevel' | 'logRequests'>>

export interface Server {
  /** host:port for clients. */
  readonly address: string
  /** host:port for HTTP/JSON; undefined with `http: false`. */
  readonly httpAddress: string | undefined
  /** Hands leadership over, stops the nodes (unless others run them) and frees the data directory. */
  close(): Promise<void>
}

/** What index.ts says of it. */
export async function startServer(options: ServerOptions = {}): Promise<Server> {
  checkServerOptions(options)
  const config = configFrom({ logLevel: 'warn', ...options })
  const [asked, forced] = [new AbortController(), new AbortController()]
  const stop = { asked: asked.signal, forced: forced.signal }
  return new Promise((resolveServer, reject) => {
    const served = serve({ ...config, kvnode: resolve(config.kvnode ?? NODE_PROGRAM) }, silent, stop, (ready) => {
      const close = async () => {
        asked.abort(new Error('the server is closed'))
        await served
      }
      resolveServer({ address: ready.grpc, httpAddress: ready.http, close })
    })
    served.catch(reject)
  })
}

/** A program in JavaScript may give anything. */
function checkServerOptions(options: unknown): void {
  if (typeof options === 'object' && options !== null && !Array.isArray(options)) return
  throw new TypeError(
    `startServer takes an object, like { port: 7000, data: './data' }, or nothing, not ${describe(options)}`,
  )
}

/** Starts everything, tells `ready`, waits until it is to stop, and stops everything in the reverse order. */
export async function serve(config: Started, telemetry: Telemetry, stop: Stop, ready: OnReady): Promise<Ending> {
  await expectFree(config)
  const nodes = openDriver(config, telemetry)
  try {
    return await serveWith(nodes, config, telemetry, stop, ready)
  } finally {
    await nodes.driver.close()
  }
}

async function serveWith(
  nodes: Nodes,
  config: Started,
  telemetry: Telemetry,
  stop: Stop,
  ready: OnReady,
): Promise<Ending> {
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
      ready({ grpc: gateway.address, http: http?.address, role: orchestrator.role, shape: orchestrator.shape })
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
  const { control, maps } = orchestrator
  return serveHttp({
    store,
    status: () => control.status(),
    control,
    watches: clusterWatches(maps),
    host,
    port,
    insecure,
    limits: limitsOf(config),
    telemetry,
  })
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
  const { moveRestFactor, leaderSettleMs, replaceAfterMs, replaceMachineAfterMs } = config
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
    moveRestFactor,
    leaderSettleMs,
    replaceAfterMs,
    replaceMachineAfterMs,
    // Not the gateway's: what it has on its way is bounded apart from that, and travels in messages of its own.
    openKeys: (map) => new Store({ map, limits: limitsOf(config) }),
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

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
