import { createServer, type Server } from 'node:http'
import { type Clock, systemClock } from '../core/clock.js'
import { DEFAULT_LIMITS, type Limits } from '../core/limits.js'
import { silent, type Telemetry } from '../telemetry/index.js'
import type { StatusResponse } from '../wire/control.js'
import { hostPort, isLoopback, ListenError } from '../wire/listener.js'
import { shared } from './cluster.js'
import { Front } from './front.js'
import { Held } from './held.js'
import { type OperationStore, Operations } from './operations.js'
import { Pipelines } from './pipelines.js'
import { HttpRefusal } from './problem.js'
import type { OperationControl } from './route.js'
import { ROUTES } from './routes.js'
import { problemAnswer, rawAnswer } from './send.js'
import { Watches, type WatchSource } from './watches.js'

export interface HttpOptions {
  readonly store: OperationStore
  /** Every node as the orchestrator sees it now. */
  readonly status: () => Promise<StatusResponse>
  readonly control: OperationControl
  /** Opens a watch of the whole cluster. Undefined: it has none. */
  readonly watches?: WatchSource | undefined
  readonly host: string
  /** 0 takes any free one. */
  readonly port: number
  /** Allows an address beyond loopback although there is no TLS yet. Default false. */
  readonly insecure?: boolean
  readonly limits?: Limits
  readonly telemetry?: Telemetry
  readonly clock?: Clock
  /** For tests. */
  readonly patience?: Partial<Patience>
}

/** How long a client may take, ms. */
export interface Patience {
  /** For the head of a request. */
  readonly headMs: number
  /** For all of it. */
  readonly requestMs: number
  /** Without a request. Above the minute that most load balancers keep connections. */
  readonly idleMs: number
  /** How often that is looked at. */
  readonly lookMs: number
}

const PATIENCE: Patience = { headMs: 10_000, requestMs: 60_000, idleMs: 75_000, lookMs: 1_000 }

/** The longest key, each byte as %XX, and as much again for the rest. */
const HEAD_BYTES_MAX = 32 * 1024
const CONNECTIONS_MAX = 2048
/** For those that were given up to read why. */
const LAST_WORD_MS = 100

export interface HttpGateway {
  /** host:port, with the port that was taken. */
  readonly address: string
  /** From now on it is not ready, and every answer ends its connection; requests are still served. */
  drain(): void
  /** Takes no more requests, answers those in progress for at most `graceMs`, gives up the rest, and frees the port. */
  close(graceMs?: number): Promise<void>
}

/** Serves HTTP/JSON from one Store. Rejects with a ListenError when the address cannot be had. */
export async function serveHttp(options: HttpOptions): Promise<HttpGateway> {
  const { store, status, control, limits = DEFAULT_LIMITS, telemetry = silent, clock = systemClock } = options
  const host = options.host === 'localhost' ? '127.0.0.1' : options.host
  const loopback = isLoopback(host)
  if (!loopback && options.insecure !== true) {
    throw new ListenError('NOT_LOOPBACK', `${host} is not a loopback address: HTTP there needs an explicit --insecure`)
  }
  let draining = false
  const operations = new Operations(store, limits, clock, telemetry)
  const watches = new Watches(options.watches, clock)
  const services = { operations, watches, status: shared(status), control, clock, draining: () => draining }
  const held = new Held(limits.inFlightBytesMax)
  const front = new Front({ routes: ROUTES, services, held, clock, loopback })
  const server = serverFor(front, clock, { ...PATIENCE, ...options.patience })
  const address = await listen(server, host, options.port)
  const drain = () => {
    draining = true
  }
  return {
    address,
    drain,
    close: (graceMs = 0) => {
      drain()
      return shutDown(server, front, graceMs, clock)
    },
  }
}

function serverFor(front: Front, clock: Clock, { headMs, requestMs, idleMs, lookMs }: Patience): Server {
  const server = createServer({
    maxHeaderSize: HEAD_BYTES_MAX,
    headersTimeout: headMs,
    requestTimeout: requestMs,
    keepAliveTimeout: idleMs,
    connectionsCheckingInterval: lookMs,
  })
  server.maxConnections = CONNECTIONS_MAX
  // Any bound here would drop the rest in silence, and a condition might be among it. The size is bounded.
  server.maxHeadersCount = 0
  const pipelines = new Pipelines()
  server.on('request', (request, response) => {
    pipelines.enter({ request, response, serve: () => front.serve(request, response, false) })
  })
  // Who asks first need not send a body that is refused.
  server.on('checkContinue', (request, response) => {
    pipelines.enter({ request, response, serve: () => front.serve(request, response, true) })
  })
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    if (!socket.writable || error.code === 'ECONNRESET' || !pipelines.mayAnswer(socket)) {
      socket.destroy()
      return
    }
    socket.end(rawAnswer(problemAnswer(refusalOf(error), false)))
    const timer = clock.setTimeout(() => socket.destroy(), LAST_WORD_MS)
    socket.once('close', () => timer.cancel())
  })
  return server
}

function refusalOf(error: NodeJS.ErrnoException): HttpRefusal {
  switch (error.code) {
    case 'HPE_HEADER_OVERFLOW':
      return new HttpRefusal(431, 'HEADERS_TOO_LARGE', `the head of the request has more than ${HEAD_BYTES_MAX} bytes`)
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new HttpRefusal(408, 'REQUEST_TIMEOUT', 'the request did not come in time')
    default:
      return new HttpRefusal(400, 'BAD_REQUEST', `the request is not HTTP/1.1: ${error.message}`)
  }
}

function listen(server: Server, host: string, port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const taken = 'the port is in use: choose another with --http-port, or stop what uses it'
      const words = cause.code === 'EADDRINUSE' ? taken : cause.message
      const message = `cannot listen on ${hostPort(host, port)} for HTTP: ${words}`
      reject(new ListenError(cause.code ?? 'UNKNOWN', message, cause))
    })
    server.listen(port, host, () => {
      const bound = server.address()
      resolve(hostPort(host, typeof bound === 'object' && bound !== null ? bound.port : port))
    })
  })
}

function shutDown(server: Server, front: Front, graceMs: number, clock: Clock): Promise<void> {
  front.endStreams()
  return new Promise((resolve) => {
    let timer = clock.setTimeout(() => {
      front.abandon()
      timer = clock.setTimeout(() => server.closeAllConnections(), LAST_WORD_MS)
    }, graceMs)
    server.close(() => {
      timer.cancel()
      resolve()
    })
  })
}
