import { type ClusterMap, supersedes } from './topology.js'

/** Where the newest cluster map comes from. Each map that it gives supersedes the one before. */
export interface MapSource {
  current(): ClusterMap
  /** Calls `listener` with every newer map, until the function that it returns is called. */
  subscribe(listener: (map: ClusterMap) => void): () => void
  /**
   * Somebody met the epoch `atLeast`, or an owner that the current map does not explain: fetch a newer map if there is
   * one. Returns at once and never throws; the source keeps to one fetch at a time, however often it is called.
   */
  refresh(atLeast: bigint): void
}

/** The published map: one writer, any number of readers. */
export class MapCell implements MapSource {
  readonly #listeners = new Set<(map: ClusterMap) => void>()
  readonly #fetch: (atLeast: bigint) => void
  #map: ClusterMap

  /** `fetch` is what `refresh` does; without it the cell changes by `publish` only. */
  constructor(map: ClusterMap, fetch: (atLeast: bigint) => void = () => {}) {
    this.#map = map
    this.#fetch = fetch
  }

  current(): ClusterMap {
    return this.#map
  }

  subscribe(listener: (map: ClusterMap) => void): () => void {
    // Wrapped: the same function may subscribe twice.
    const entry = (map: ClusterMap) => listener(map)
    this.#listeners.add(entry)
    return () => this.#listeners.delete(entry)
  }

  refresh(atLeast: bigint): void {
    this.#fetch(atLeast)
  }

  /** Publishes a map, unless the one here is as good. Says whether it did. */
  publish(map: ClusterMap): boolean {
    if (map.clusterId !== this.#map.clusterId) {
      throw new TypeError(`a map of cluster ${map.clusterId} for cluster ${this.#map.clusterId}`)
    }
    if (!supersedes(map, this.#map)) return false
    this.#map = map
    for (const listener of [...this.#listeners]) listener(map)
    return true
  }
}
