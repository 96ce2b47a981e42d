import type { Clock } from '../core/clock.js'
import { sleep } from '../core/clock.js'
import type { ClusterMap } from '../core/topology.js'
import { KvError, UnavailableError } from '../errors/index.js'
import { KvUnary } from '../wire/kv-unary.js'

export interface MapWatcherOptions {
  readonly address: string
  readonly clock: Clock
  /** Another map came. */
  readonly changed: () => void
  /** There is no map yet, for this reason; it goes on asking. */
  readonly failed: (error: KvError) => void
}

const RETRY_MS_MIN = 20
const RETRY_MS_MAX = 500

/** Follows a gateway's cluster map, from the first `start` until `close`, whatever becomes of the gateway meanwhile. */
export class MapWatcher {
  readonly #options: MapWatcherOptions
  readonly #closed = new AbortController()
  #running = false
  #map: ClusterMap | undefined

  constructor(options: MapWatcherOptions) {
    this.#options = options
  }

  /** The newest map; undefined before the first. */
  get current(): ClusterMap | undefined {
    return this.#map
  }

  start(): void {
    if (this.#running || this.#closed.signal.aborted) return
    this.#running = true
    // It ends with `close`, and every failure ends in another try.
    void this.#run()
  }

  close(): void {
    this.#closed.abort()
  }

  async #run(): Promise<void> {
    const { signal } = this.#closed
    let pauseMs = RETRY_MS_MIN
    while (!signal.aborted) {
      // A connection of its own for each try: a new one never inherits the backoff of an old one (grpc-node#2785).
      const gateway = new KvUnary(this.#options.address, this.#options.clock)
      try {
        for await (const map of gateway.clusterMap(signal)) {
          pauseMs = RETRY_MS_MIN
          this.#took(map)
        }
      } catch (error) {
        this.#options.failed(asKvError(error))
      } finally {
        gateway.close()
      }
      await sleep(this.#options.clock, pauseMs, signal).catch(() => {})
      pauseMs = Math.min(RETRY_MS_MAX, pauseMs * 2)
    }
  }

  /** A gateway that came back may serve another cluster: what it says counts. */
  #took(map: ClusterMap): void {
    if (map.clusterId === this.#map?.clusterId && map.epoch < this.#map.epoch) return
    this.#map = map
    this.#options.changed()
  }
}

function asKvError(error: unknown): KvError {
  if (error instanceof KvError) return error
  return new UnavailableError('the gateway’s cluster map cannot be read', { outcome: 'not-applied', cause: error })
}
