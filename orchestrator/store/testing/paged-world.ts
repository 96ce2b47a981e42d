import { systemClock } from '../../core/clock.js'
import { MapCell, type MapSource } from '../../core/map-source.js'
import type { Operation, PageOperation, PageResult, Result } from '../../core/operation.js'
import { PARTITIONS, partitionOf } from '../../core/slot.js'
import { type ClusterMap, makeClusterMap } from '../../core/topology.js'
import { CancelledError, type KvError, WrongShardError } from '../../errors/index.js'
import type { PageSource } from '../scan/pages.js'

export interface PagedWorldOptions {
  readonly shards: number
  /** Shards that own nothing at first. */
  readonly spare?: number
  readonly keys: readonly string[]
  /** Keys of a page at most; as many are looked at. */
  readonly perPage: number
}

export type WorldEvent =
  | { readonly kind: 'move'; readonly partition: number; readonly to: number }
  /** The map is told of what has moved. */
  | { readonly kind: 'late' }
  | { readonly kind: 'put' | 'delete'; readonly key: number }
  | { readonly kind: 'nothing' }

/** Shards that answer pages as nodes do, and lose and get partitions meanwhile. An event happens before each answer. */
export class PagedWorld implements PageSource {
  readonly clock = systemClock
  readonly maps: Pick<MapSource, 'current' | 'subscribe' | 'refresh'>
  readonly asks: PageOperation[] = []
  underWay = 0
  listeners = 0
  fail: KvError | undefined
  /** Nobody is told of moves. */
  hideMoves = false
  readonly #cell: MapCell
  readonly #owners: number[]
  readonly #shards: number
  readonly #keys = new Map<string, Buffer>()
  readonly #perPage: number
  #events: WorldEvent[] = []
  #fleeting: readonly string[] = []
  #epoch = 1n
  #idle: (() => void)[] = []

  constructor({ shards, spare = 0, keys, perPage }: PagedWorldOptions) {
    this.#owners = Array.from({ length: PARTITIONS }, (_, number) => 1 + (number % shards))
    this.#shards = shards + spare
    this.#perPage = perPage
    for (const key of keys) this.#keys.set(key, Buffer.from(key))
    this.#cell = new MapCell(this.#map(), () => this.#publish())
    this.maps = {
      current: () => this.#cell.current(),
      refresh: (atLeast) => this.#cell.refresh(atLeast),
      subscribe: (listener) => {
        this.listeners++
        const stop = this.#cell.subscribe(listener)
        return () => {
          this.listeners--
          stop()
        }
      },
    }
  }

  play(events: readonly WorldEvent[], fleeting: readonly string[]): void {
    this.#events = [...events]
    this.#fleeting = fleeting
  }

  /** At once and for all keys, as a release and an activation together. The map hears of it later. */
  move(partition: number, to: number): void {
    if (this.#owners[partition] === to) return
    this.#owners[partition] = to
    this.#epoch++
  }

  async execute(operation: Operation, { signal }: { signal: AbortSignal }): Promise<Result> {
    if (operation.kind !== 'page') throw new TypeError(`a scan asked for ${operation.kind}`)
    this.asks.push(operation)
    this.underWay++
    try {
      await new Promise((resolve) => setImmediate(resolve))
      if (signal.aborted) throw new CancelledError('given up', { outcome: 'not-applied' })
      if (this.fail !== undefined) throw this.fail
      this.#happen(this.#events.shift())
      return this.#page(operation)
    } finally {
      if (--this.underWay === 0) for (const done of this.#idle.splice(0)) done()
    }
  }

  /** Resolves when no page is on its way. */
  settled(): Promise<void> {
    return new Promise((resolve) => {
      if (this.underWay === 0) resolve()
      else this.#idle.push(resolve)
    })
  }

  #happen(event: WorldEvent | undefined): void {
    if (event?.kind === 'move') this.move(event.partition, event.to)
    if (event?.kind === 'late') this.#publish()
    if (event?.kind === 'put' || event?.kind === 'delete') {
      const name = this.#fleeting[event.key]
      if (name === undefined) return
      if (event.kind === 'put') this.#keys.set(name, Buffer.from(name))
      else this.#keys.delete(name)
    }
  }

  #publish(): void {
    if (!this.hideMoves) this.#cell.publish(this.#map())
  }

  #page({ shard, partitions, from, to, reverse, content, limit }: PageOperation): PageResult {
    for (let number = 0; number < PARTITIONS; number++) {
      const asked = ((partitions[number >> 3] ?? 0) >> (number & 7)) & 1
      if (asked === 1 && this.#owners[number] !== shard) {
        throw new WrongShardError(`shard ${shard} does not own ${number}`, {
          outcome: 'not-applied',
          epoch: this.#epoch,
        })
      }
    }
    const inside = [...this.#keys.values()]
      .filter((key) => Buffer.compare(key, from) >= 0 && (to.length === 0 || Buffer.compare(key, to) < 0))
      .sort((one, other) => (reverse ? Buffer.compare(other, one) : Buffer.compare(one, other)))
    const entries: { key: Uint8Array; value: Uint8Array; version: bigint }[] = []
    let count = 0
    for (const [at, key] of inside.entries()) {
      const full =
        content !== 'count' && entries.length === (limit === 0 ? this.#perPage : Math.min(limit, this.#perPage))
      if (at === 4 * this.#perPage || full) {
        return { kind: 'page', entries, count, next: reverse ? inside[at - 1] : key }
      }
      const number = partitionOf(key)
      if ((((partitions[number >> 3] ?? 0) >> (number & 7)) & 1) === 0) continue
      count++
      if (content !== 'count') entries.push({ key, value: key, version: 1n })
    }
    return { kind: 'page', entries, count, next: undefined }
  }

  #map(): ClusterMap {
    const shards = Array.from({ length: this.#shards }, (_, at) => ({
      id: at + 1,
      nodes: [{ id: `n${at}`, address: `127.0.0.1:${at + 1}` }],
    }))
    return makeClusterMap({ clusterId: 'c', epoch: this.#epoch, owners: [...this.#owners], shards })
  }
}
