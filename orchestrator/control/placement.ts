import { createHash } from 'node:crypto'
import { PARTITIONS } from '../core/slot.js'

// Consistent hashing with bounded loads (Mirrokni, Thorup, Zadimoghaddam 2016). Shards and partitions are points on a
// ring; a partition belongs to the first shard at or after its point that is not full. A shard is full when it holds
// ceil(load factor * partitions / shards). So no shard holds much more than its share, and adding one moves little
// besides what it takes over.

/** How much more than its equal share a shard may hold. Less evens out more, and moves more when a shard is added. */
export const LOAD_FACTOR = 1.1

/** Points of one shard on the ring: with few of them the arcs, and so the loads, would differ widely. */
const POINTS_PER_SHARD = 128

interface Point {
  readonly at: bigint
  readonly shard: number
}

/** What a shard may hold at most. */
export function loadMax(shards: number, loadFactor = LOAD_FACTOR): number {
  return Math.ceil((loadFactor * PARTITIONS) / shards)
}

/** The owner of each partition. Depends on its arguments only, and not on the order of `shards`. */
export function place(shards: readonly number[], loadFactor = LOAD_FACTOR): number[] {
  if (shards.length === 0) throw new TypeError('no shards to place partitions on')
  const ring = ringOf(shards)
  const max = loadMax(shards.length, loadFactor)
  const loads = new Map(shards.map((shard) => [shard, 0]))
  return Array.from({ length: PARTITIONS }, (_, partition) => {
    const shard = firstWithRoom(ring, pointOf(`partition ${partition}`), (id) => (loads.get(id) ?? max) < max)
    loads.set(shard, (loads.get(shard) ?? 0) + 1)
    return shard
  })
}

function ringOf(shards: readonly number[]): Point[] {
  const points = shards.flatMap((shard) =>
    Array.from({ length: POINTS_PER_SHARD }, (_, copy) => ({ at: pointOf(`shard ${shard} ${copy}`), shard })),
  )
  return points.sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : a.shard - b.shard))
}

function firstWithRoom(ring: readonly Point[], from: bigint, hasRoom: (shard: number) => boolean): number {
  const start = indexAtOrAfter(ring, from)
  for (let step = 0; step < ring.length; step++) {
    const point = ring[(start + step) % ring.length]
    if (point !== undefined && hasRoom(point.shard)) return point.shard
  }
  throw new Error(`no shard has room: the load factor is less than 1`)
}

function indexAtOrAfter(ring: readonly Point[], from: bigint): number {
  let low = 0
  let high = ring.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((ring[middle]?.at ?? from) < from) low = middle + 1
    else high = middle
  }
  return low
}

/** A point is for ever: it must not depend on platform or version, hence a hash with a standard. */
function pointOf(name: string): bigint {
  return createHash('sha256').update(name).digest().readBigUInt64BE()
}

/** Partitions first..last, both included. */
export interface Range {
  readonly first: number
  readonly last: number
}

/** The partitions of one shard as ranges, in order. */
export function rangesOf(owners: readonly number[], shard: number): Range[] {
  const ranges: { first: number; last: number }[] = []
  owners.forEach((owner, partition) => {
    if (owner !== shard) return
    const open = ranges.at(-1)
    if (open !== undefined && open.last === partition - 1) open.last = partition
    else ranges.push({ first: partition, last: partition })
  })
  return ranges
}
