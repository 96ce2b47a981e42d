import type { Clock, Timer } from '../core/clock.js'
import { sleep } from '../core/clock.js'
import { DEADLINE_MS_MAX } from '../core/limits.js'
import { MapCell } from '../core/map-source.js'
import type { ClusterMap } from '../core/topology.js'
import { CancelledError, KvError, UnavailableError, WrongPeerError } from '../errors/index.js'
import { onAbort } from '../store/abort.js'
import { KvUnary } from '../wire/kv-unary.js'

export interface MapWatcherOptions {
  /** Gateways, host:port, at least one. */
  readonly endpoints: readonly string[]
  readonly clock: Clock
  /** The cluster of the first map is the only one: maps of others are refused. Else what the gateway says now counts. */
  readonly pinned: boolean
}

export interface MapListener {
  /** A map came. */
  readonly changed: () => void
  /** An endpoint gave none, for this reason; others are asked. */
  readonly failed: (error: KvError) => void
}

const RETRY_MS_MIN = 20
const RETRY_MS_MAX = 500
/** A gateway that takes longer for its first map is given up for the next one; longer each time, lest all be slow. */
const FIRST_MAP_MS = 1000
const FIRST_MAP_MS_MAX = 5000
/** How long a map that is known to be old is put up with before another gateway is asked. */
const STALE_MS = 1000

/** Follows the cluster map of any of the endpoints, from the first `start` until `close`, whatever becomes of them. */
export class MapWatcher {
  readonly #options: MapWatcherOptions
  readonly #closed = new AbortController()
  readonly #listeners = new Set<MapListener>()
  /** Endpoints that serve another cluster. */
  readonly #foreign = new Set<string>()
  #running = false
  #cell: MapCell | undefined
  /** Ends the try that is going on. */
  #try = new AbortController()
  #stale: Timer | undefined
  #trouble: KvError | undefined

  constructor(options: MapWatcherOptions) {
    this.#options = options
  }

  /** The newest map; undefined before the first. */
  get current(): ClusterMap | undefined {
    return this.#cell?.current()
  }

  /** Why no endpoint has given a map since the last one; undefined when all is well. */
  get trouble(): KvError | undefined {
    return this.#trouble
  }

  /** Whether the endpoint serves our cluster, as far as is known. */
  trusts(address: string): boolean {
    return !this.#foreign.has(address)
  }

  /** Somebody met this epoch. Gateways push their maps at once: one that stays behind it is left for the next. */
  refresh(atLeast: bigint): void {
    if (this.#stale !== undefined || this.#closed.signal.aborted) return
    if (this.current !== undefined && this.current.epoch >= atLeast) return
    this.#stale = this.#options.clock.setTimeout(() => {
      this.#stale = undefined
      this.#try.abort()
    }, STALE_MS)
  }

  listen(listener: MapListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  start(): void {
    if (this.#running || this.#closed.signal.aborted) return
    this.#running = true
    // It ends with `close`, and every failure ends in another try.
    void this.#run()
  }

  /** Starts, and resolves with the maps as soon as there is one. Rejects with UNAVAILABLE or CANCELLED. */
  first(timeoutMs: number, signal?: AbortSignal): Promise<MapCell> {
    this.start()
    return new Promise((resolve, reject) => {
      const settle = (error?: KvError) => {
        if (error === undefined && this.#cell === undefined) return
        timer.cancel()
        stop()
        deafen()
        if (error !== undefined) reject(error)
        else if (this.#cell !== undefined) resolve(this.#cell)
      }
      const giveUp = () => settle(new CancelledError('connecting was cancelled by the caller', cancelledBy(signal)))
      const stop = this.listen({ changed: settle, failed: () => {} })
      const timer = this.#options.clock.setTimeout(
        () => settle(this.#nobody(timeoutMs)),
        Math.min(timeoutMs, DEADLINE_MS_MAX),
      )
      const deafen = onAbort(signal, giveUp)
      if (signal?.aborted) giveUp()
      else settle()
    })
  }

  close(): void {
    this.#closed.abort()
    this.#try.abort()
    this.#stale?.cancel()
  }

  async #run(): Promise<void> {
    const { endpoints, clock } = this.#options
    const { signal } = this.#closed
    let failures = 0
    for (let turn = 0; !signal.aborted; turn++) {
      const came = await this.#follow(endpoints[turn % endpoints.length] as string, failures)
      failures = came ? 1 : failures + 1
      // Each endpoint once before the pause grows.
      const rounds = Math.floor((failures - 1) / endpoints.length)
      const pauseMs = Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** Math.min(rounds, 10))
      await sleep(clock, pauseMs, signal).catch(() => {})
    }
  }

  /** Takes the maps of one endpoint until it fails. Says whether any came. */
  async #follow(address: string, failures: number): Promise<boolean> {
    const { clock } = this.#options
    // A connection of its own for each try: a new one never inherits the backoff of an old one (grpc-node#2785).
    const gateway = new KvUnary(address, clock)
    const stop = new AbortController()
    this.#try = stop
    const timer = clock.setTimeout(() => stop.abort(), Math.min(FIRST_MAP_MS_MAX, FIRST_MAP_MS * (failures + 1)))
    let came = false
    try {
      for await (const map of gateway.clusterMap(stop.signal)) {
        timer.cancel()
        this.#took(map, address)
        came = true
      }
      this.#failed(new UnavailableError(`${address} gives no cluster map now`, { outcome: 'not-applied' }))
    } catch (error) {
      this.#failed(asKvError(error))
    } finally {
      timer.cancel()
      gateway.close()
    }
    return came
  }

  #failed(error: KvError): void {
    if (this.#closed.signal.aborted) return
    this.#trouble = error
    for (const listener of [...this.#listeners]) listener.failed(error)
  }

  #took(map: ClusterMap, address: string): void {
    const known = this.#cell?.current().clusterId ?? map.clusterId
    if (map.clusterId !== known && this.#options.pinned) {
      this.#foreign.add(address)
      const message = `${address} serves cluster ${map.clusterId} now, not ${known}: connect to it anew if that is meant`
      throw new WrongPeerError(message, { outcome: 'not-applied', node: address })
    }
    this.#foreign.delete(address)
    this.#trouble = undefined
    this.#stale?.cancel()
    this.#stale = undefined
    if (this.#cell === undefined || map.clusterId !== known) this.#cell = this.#newCell(map)
    else this.#cell.publish(map)
    for (const listener of [...this.#listeners]) listener.changed()
  }

  #newCell(map: ClusterMap): MapCell {
    return new MapCell(map, (atLeast) => this.refresh(atLeast))
  }

  #nobody(timeoutMs: number): KvError {
    const who = this.#options.endpoints.join(', ')
    const last = this.#trouble === undefined ? '' : ` last failure: ${this.#trouble.message}`
    const message = `no cluster map from ${who} within ${Math.round(timeoutMs)} ms: is Kvorum running there?${last}`
    return new UnavailableError(message, { outcome: 'not-applied', cause: this.#trouble })
  }
}

function cancelledBy(signal: AbortSignal | undefined) {
  return { outcome: 'not-applied', cause: signal?.reason as unknown } as const
}

function asKvError(error: unknown): KvError {
  if (error instanceof KvError) return error
  return new UnavailableError('the gateway’s cluster map cannot be read', { outcome: 'not-applied', cause: error })
}
