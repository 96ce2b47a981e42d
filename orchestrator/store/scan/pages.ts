import type { Clock } from '../../core/clock.js'
import { sleep } from '../../core/clock.js'
import type { MapSource } from '../../core/map-source.js'
import {
  ANY_KEY,
  type Operation,
  type PageContent,
  type PageOperation,
  type PageResult,
  type Result,
} from '../../core/operation.js'
import type { Range } from '../../core/range.js'
import { PARTITIONS } from '../../core/slot.js'
import type { ClusterMap } from '../../core/topology.js'
import { DeadlineExceededError, KvError } from '../../errors/index.js'

/** What scans need of whoever carries operations. */
export interface PageSource {
  readonly maps: Pick<MapSource, 'current' | 'subscribe' | 'refresh'>
  readonly clock: Clock
  execute(operation: Operation, options: { deadlineMs: number; signal: AbortSignal }): Promise<Result>
}

/** What one shard is asked for. */
export interface Ask {
  readonly shard: number
  readonly partitions: Uint8Array
  readonly range: Range
  readonly reverse: boolean
  readonly content: PageContent
  readonly limit: number
  readonly bytesMax: number
}

/** Until when, on the monotonic clock, and who may give up before. */
export interface Patience {
  readonly until: number
  readonly signal: AbortSignal
}

/** Between two looks at a map that does not explain who owns what: it is about to be told. */
const PAUSE_MS_MIN = 2
const PAUSE_MS_MAX = 50

/** Rejects with a KvError; WRONG_SHARD if the shard does not own all of the partitions. */
export async function readPage(from: PageSource, ask: Ask, { until, signal }: Patience): Promise<PageResult> {
  const { range, ...rest } = ask
  const operation: PageOperation = { kind: 'page', key: ANY_KEY, ...rest, ...range }
  const deadlineMs = Math.max(0, until - from.clock.monotonic())
  return (await from.execute(operation, { deadlineMs, signal })) as PageResult
}

export const ALL_PARTITIONS: Uint8Array = new Uint8Array(PARTITIONS / 8).fill(0xff)

/** Who owns the partitions by the map, and which of them each one owns. */
export function byOwner(map: ClusterMap, partitions: Uint8Array): Map<number, Uint8Array> {
  const owners = new Map<number, Uint8Array>()
  for (let number = 0; number < PARTITIONS; number++) {
    const [byte, bit] = [number >> 3, 1 << (number & 7)]
    if (((partitions[byte] ?? 0) & bit) === 0) continue
    const owner = map.owners[number] ?? 0
    const owned = owners.get(owner) ?? new Uint8Array(PARTITIONS / 8)
    owned[byte] = (owned[byte] ?? 0) | bit
    owners.set(owner, owned)
  }
  return owners
}

export function isWrongShard(error: unknown): error is KvError {
  return error instanceof KvError && error.code === 'WRONG_SHARD'
}

/** Waits for a map that may explain what a shard said when it was asked by the one `before`. */
export class MapChanges {
  readonly #from: PageSource
  #failures = 0

  constructor(from: PageSource) {
    this.#from = from
  }

  /** Something was found where the map says that it is. */
  explained(): void {
    this.#failures = 0
  }

  /** Resolves when it is worth asking again. Rejects with DEADLINE_EXCEEDED, or when the signal is aborted. */
  async after(before: ClusterMap, error: KvError, { until, signal }: Patience): Promise<void> {
    const { maps, clock } = this.#from
    const met = error.epoch ?? 0n
    maps.refresh(met > before.epoch ? met : before.epoch + 1n)
    const grown = PAUSE_MS_MIN * 2 ** Math.min(this.#failures++, 10)
    const leftMs = until - clock.monotonic()
    if (leftMs <= 0) {
      const message = 'the deadline passed while partitions changed their shards'
      throw new DeadlineExceededError(message, { outcome: 'not-applied', cause: error })
    }
    if (maps.current() !== before) return
    const enough = new AbortController()
    const stop = maps.subscribe(() => enough.abort())
    const giveUp = () => enough.abort()
    signal.addEventListener('abort', giveUp, { once: true })
    await sleep(clock, Math.min(grown, PAUSE_MS_MAX, leftMs), enough.signal).catch(() => {})
    signal.removeEventListener('abort', giveUp)
    stop()
  }
}
