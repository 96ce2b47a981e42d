import { createServer, isIP } from 'node:net'
import { Server, ServerCredentials, type ServiceDefinition, type UntypedServiceImplementation } from '@grpc/grpc-js'
import { type Clock, systemClock } from '../core/clock.js'
import { GRPC_MESSAGE_BYTES_MAX } from '../core/limits.js'

/** A service with what answers it; made by wire/services.ts. */
export interface Service {
  readonly definition: ServiceDefinition
  readonly implementation: UntypedServiceImplementation
}

export interface ListenOptions {
  readonly host: string
  /** 0 takes any free one. */
  readonly port: number
  /** Allows another address than loopback although there is no TLS yet. Default false. */
  readonly insecure?: boolean
  /** The option that says the address, for whoever is told that it cannot be had: "--port". */
  readonly option?: string
  readonly clock?: Clock
}

/** Why an address could not be listened on. `code` is stable: EADDRINUSE, EACCES, EADDRNOTAVAIL, NOT_LOOPBACK ... */
export class ListenError extends Error {
  override name = 'ListenError'
  constructor(
    readonly code: string,
    message: string,
    cause?: unknown,
  ) {
    super(message, cause === undefined ? undefined : { cause })
  }
}

export interface Listener {
  /** host:port, with the port that was taken. */
  readonly address: string
  readonly port: number
  /** Refuses new calls, lets those in progress end for `graceMs`, then cuts them. Done when the port is free. */
  close(graceMs?: number): Promise<void>
}

/** The one place that makes gRPC servers. TLS will come in here and nowhere else. Rejects with a ListenError. */
export async function listen(options: ListenOptions, services: readonly Service[]): Promise<Listener> {
  // "localhost" may be two addresses, of which gRPC is content with one: the other may belong to somebody else.
  const host = options.host === 'localhost' ? '127.0.0.1' : options.host
  if (!isLoopback(host) && options.insecure !== true) {
    const advice = 'Listening beyond this machine needs TLS, which is not there yet, or an explicit --insecure'
    throw new ListenError('NOT_LOOPBACK', `${host} is not a loopback address. ${advice}.`)
  }
  await probe(host, options)
  const server = new Server(SERVER_OPTIONS)
  for (const { definition, implementation } of services) server.addService(definition, implementation)
  const port = await bind(server, host, options.port)
  return {
    address: hostPort(host, port),
    port,
    close: (graceMs = 0) => shutDown(server, graceMs, options.clock ?? systemClock),
  }
}

const SERVER_OPTIONS = {
  'grpc.max_send_message_length': GRPC_MESSAGE_BYTES_MAX,
  'grpc.max_receive_message_length': GRPC_MESSAGE_BYTES_MAX,
  // What a stream may send before anybody reads it: times the streams, nobody's budget knows of it.
  'grpc-node.flow_control_window': 1 << 20,
  // Of one connection; a client's further calls wait on its side.
  'grpc.max_concurrent_streams': 1024,
  // Finds clients that vanished without closing, so that what they hold is freed.
  'grpc.keepalive_time_ms': 60_000,
  'grpc.keepalive_timeout_ms': 10_000,
}

/** Tries the address alone: gRPC would say why it cannot be had in prose only, the operating system says it in a code. */
function probe(host: string, { port, option }: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const another = `choose another${option === undefined ? '' : ` with ${option}`}`
      const words = cause.code === 'EADDRINUSE' ? `the port is in use: ${another}, or stop what uses it` : cause.message
      reject(new ListenError(cause.code ?? 'UNKNOWN', `cannot listen on ${hostPort(host, port)}: ${words}`, cause))
    })
    server.listen(port, host, () => server.close(() => resolve()))
  })
}

function bind(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(hostPort(host, port), ServerCredentials.createInsecure(), (cause, taken) => {
      if (cause === null) {
        resolve(taken)
        return
      }
      server.forceShutdown()
      reject(new ListenError('UNKNOWN', `cannot listen on ${hostPort(host, port)}: ${cause.message}`, cause))
    })
  })
}

function shutDown(server: Server, graceMs: number, clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    const timer = clock.setTimeout(() => server.forceShutdown(), graceMs)
    server.tryShutdown(() => {
      timer.cancel()
      server.forceShutdown()
      resolve()
    })
  })
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
}

/** As one word; an IPv6 address in brackets. */
export function hostPort(host: string, port: number): string {
  return isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`
}
