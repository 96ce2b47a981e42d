import type { Clock } from '../core/clock.js'
import { MapCell } from '../core/map-source.js'
import type { ClusterMap } from '../core/topology.js'
import { Turns } from '../core/turns.js'
import type { Telemetry } from '../telemetry/index.js'
import { encodeClusterMap } from '../wire/cluster-map.js'
import { NotHolder } from './faults.js'
import { agree, type KeeperDeps, type MapChange, mapAsItIs } from './map-keeper.js'
import { Rounds } from './rounds.js'

export interface PublisherDeps extends KeeperDeps {
  readonly telemetry: Telemetry
  readonly clock: Clock
  /** Keeps the bytes of the map for a start without meta; done when it is durable. */
  readonly remember: (map: Uint8Array) => Promise<void>
  /** Done when meta has what the registry has: the map must not say what nobody could find again. */
  readonly recorded: (signal: AbortSignal) => Promise<void>
}

const RETRY_MS = 1_000

/** Publishes the cluster map, and keeps it and the one in meta up to date with where the nodes listen. */
export class MapPublisher {
  readonly maps: MapCell
  readonly #rounds: Rounds
  /** One map after the other: an older one must not be remembered after a newer one. */
  readonly #turns = new Turns()

  private constructor(
    private readonly deps: PublisherDeps,
    first: ClusterMap,
  ) {
    this.maps = new MapCell(first, (atLeast) => {
      if (atLeast > this.maps.current().epoch) this.#rounds.ask()
    })
    this.#rounds = new Rounds({
      work: async (signal) => {
        await this.change((map) => map, signal)
      },
      failed: (error) => {
        // Then it is published by whoever has taken over.
        if (!(error instanceof NotHolder)) deps.telemetry.emit('fault', { where: 'publishing the cluster map', error })
      },
      pauseMs: RETRY_MS,
      clock: deps.clock,
    })
  }

  static async begin(deps: PublisherDeps, first: ClusterMap): Promise<MapPublisher> {
    await deps.remember(encodeClusterMap(first))
    return new MapPublisher(deps, first)
  }

  /** Nodes listen elsewhere. They are found there at once, also while meta cannot be asked for the next epoch. */
  moved(): void {
    this.maps.publish(mapAsItIs(this.maps.current(), this.deps.shards()))
    this.#rounds.ask()
  }

  /**
   * Changes the map: in meta, in what a start without meta goes by, and for everybody who routes, in this order. Done
   * before: only the rest of it is done. Waits for meta; rejects when `signal` is aborted.
   */
  change(change: MapChange, signal: AbortSignal): Promise<ClusterMap> {
    return this.#turns.take(async () => {
      await this.deps.recorded(signal)
      const map = await agree(this.deps, signal, change)
      await this.deps.remember(encodeClusterMap(map))
      if (this.maps.publish(map)) this.deps.telemetry.emit('map.published', { epoch: map.epoch })
      return map
    })
  }

  close(): Promise<void> {
    return this.#rounds.close()
  }
}
