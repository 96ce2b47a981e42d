import { type Clock, systemClock } from '../core/clock.js'
import { DEFAULT_LIMITS, type Limits } from '../core/limits.js'
import type { MapSource } from '../core/map-source.js'
import { silent, type Telemetry } from '../telemetry/index.js'
import { listen, type Service } from '../wire/listener.js'
import { kvService, kvStoreService } from '../wire/services.js'
import type { BatchSession } from './batch.js'
import { Budget } from './budget.js'
import { compatHandlers } from './compat.js'
import type { GatewayContext, OperationStore } from './context.js'
import { kvHandlers } from './kv.js'
import { observed } from './observed.js'
import { Readers } from './readers.js'
import { Toll } from './toll.js'

/** The share of the gateway's bytes that values which wait to be read may hold. */
const VALUES_SHARE = 1 / 2

export interface GatewayOptions {
  readonly store: OperationStore
  readonly maps: MapSource
  readonly host: string
  /** 0 takes any free one. */
  readonly port: number
  /** Allows an address beyond loopback although there is no TLS yet. Default false. */
  readonly insecure?: boolean
  readonly limits?: Limits
  /** Told of every operation when it is answered, if it listens to `request`. */
  readonly telemetry?: Telemetry
  /** More services for the same port. */
  readonly services?: readonly Service[]
  readonly clock?: Clock
}

export interface Gateway {
  /** host:port, with the port that was taken. */
  readonly address: string
  /** Takes no more requests, answers those in progress for at most `graceMs`, and frees the port. */
  close(graceMs?: number): Promise<void>
}

/** Serves both services of Kvorum from one Store. Rejects with a ListenError when the address cannot be had. */
export async function serveGateway(options: GatewayOptions): Promise<Gateway> {
  const clock = options.clock ?? systemClock
  const sessions = new Set<BatchSession>()
  const context = contextOf(options, clock)
  const { host, port, insecure } = options
  const listener = await listen({ host, port, insecure, option: '--port', clock }, [
    kvStoreService(compatHandlers(context), clock),
    kvService(kvHandlers(context, sessions), clock),
    ...(options.services ?? []),
  ])
  return {
    address: listener.address,
    close: (graceMs = 0) => {
      for (const session of sessions) session.drain()
      return listener.close(graceMs)
    },
  }
}

function contextOf(options: GatewayOptions, clock: Clock): GatewayContext {
  const { store, maps, limits = DEFAULT_LIMITS, telemetry = silent } = options
  const budget = new Budget(limits.inFlightBytesMax)
  const plain: GatewayContext['submit'] = (operation, deadlineMs, done, stamp) =>
    store.submit(operation, deadlineMs, done, stamp)
  return {
    limits,
    maps,
    clock,
    budget,
    values: new Budget(limits.inFlightBytesMax * VALUES_SHARE, budget),
    crowd: new Set(),
    readers: new Readers(clock),
    toll: new Toll(clock),
    calls: 0,
    full: () => store.full?.(),
    ranges: store.ranges,
    submit: telemetry.enabled('request') ? observed(store, clock, telemetry) : plain,
  }
}
