import { PARTITIONS } from '../core/slot.js'
import { Scores } from './placement-scores.js'

// Which shard owns which partition: a stable matching (Gale, Shapley 1962). Each partition asks the shards in the order of
// its scores; a shard that holds more than it may gives up the one that it wants least, which then asks the next. In the
// end all have the best that they can get, whatever the order in which they asked: so the placement depends on the set of
// shards and their weights only, and no history.

/** How much more than its share a shard may hold. Less evens out more, and moves more when there are gaps in the ids. */
export const LOAD_FACTOR = 1.1

/** Each unit of weight costs a hash for each partition. */
const WEIGHT_MAX = 64

export interface PlacementOptions {
  readonly loadFactor?: number
  /** A shard of weight 2 gets twice the share of one of weight 1, which is what all others have. Whole numbers to 64. */
  readonly weights?: ReadonlyMap<number, number>
  /** Kept by who places often. */
  readonly scores?: Scores
}

/** What a shard may hold at most. `total`: the weights of all shards; their number, if they are equal. */
export function loadMax(total: number, loadFactor = LOAD_FACTOR, weight = 1): number {
  return Math.ceil((loadFactor * PARTITIONS * weight) / total)
}

/** The owner of each partition. Depends on the set of shards, their weights and the load factor only. */
export function place(shards: readonly number[], options: PlacementOptions = {}): number[] {
  const { loadFactor = LOAD_FACTOR, scores = new Scores() } = options
  const bidders = biddersFor(shards, options.weights, loadFactor, scores)
  const homes = scores.homes(Math.max(...shards))
  const asking = [...homes.keys()]
  for (let partition = asking.pop(); partition !== undefined; partition = asking.pop()) {
    const refused = ask(bidders, partition, homes)
    if (refused !== undefined) asking.push(refused)
  }
  const owners = Array<number>(PARTITIONS).fill(0)
  for (const { shard, held } of bidders) for (const partition of held) owners[partition] = shard
  return owners
}

/** A shard while partitions ask it. */
interface Bidder {
  readonly shard: number
  readonly max: number
  readonly scores: Float64Array
  readonly held: Set<number>
  readonly refused: Set<number>
}

function biddersFor(
  shards: readonly number[],
  weights: PlacementOptions['weights'],
  loadFactor: number,
  scores: Scores,
): Bidder[] {
  if (shards.length === 0) throw new TypeError('no shards to place partitions on')
  if (!(loadFactor >= 1)) throw new TypeError('no shard has room: the load factor is less than 1')
  if (!shards.every((shard) => Number.isInteger(shard) && shard > 0)) throw new TypeError('shards count from 1')
  const weighed = [...new Set(shards)].map((shard) => ({ shard, weight: weights?.get(shard) ?? 1 }))
  if (!weighed.every(({ weight }) => Number.isInteger(weight) && weight >= 1 && weight <= WEIGHT_MAX)) {
    throw new TypeError(`a weight is a whole number from 1 to ${WEIGHT_MAX}`)
  }
  const total = weighed.reduce((sum, { weight }) => sum + weight, 0)
  return weighed.map(({ shard, weight }) => ({
    shard,
    max: loadMax(total, loadFactor, weight),
    scores: scoresOf(scores, shard, weight),
    held: new Set<number>(),
    refused: new Set<number>(),
  }))
}

/** A shard of several shares is liked as its best share is. */
function scoresOf(scores: Scores, shard: number, shares: number): Float64Array {
  const [first, ...others] = Array.from({ length: shares }, (_, share) => scores.of(shard, share))
  if (first === undefined) throw new Error('a shard without a share')
  return first.map((score, partition) => others.reduce((best, other) => Math.max(best, other[partition] ?? 0), score))
}

/** A partition asks the shard that it likes best of those that have not refused it. Returns the one that finds no room. */
function ask(bidders: readonly Bidder[], partition: number, homes: Int32Array): number | undefined {
  let best: Bidder | undefined
  for (const bidder of bidders) {
    if (!bidder.refused.has(partition) && (best === undefined || isLiked(partition, bidder, best))) best = bidder
  }
  if (best === undefined) throw new Error('no shard has room')
  best.held.add(partition)
  if (best.held.size <= best.max) return undefined
  const least = leastWanted(best, homes)
  best.held.delete(least)
  best.refused.add(least)
  return least
}

function isLiked(partition: number, bidder: Bidder, other: Bidder): boolean {
  const [one, two] = [bidder.scores[partition] ?? 0, other.scores[partition] ?? 0]
  return one > two || (one === two && bidder.shard < other.shard)
}

/** A shard gives up guests before those that are at home with it: where one shard is missing, nobody else's need move. */
function leastWanted({ held, scores, shard }: Bidder, homes: Int32Array): number {
  const worth = (partition: number) => (homes[partition] === shard ? 1 : 0) + (scores[partition] ?? 0)
  return [...held].reduce((least, one) => {
    const [value, other] = [worth(one), worth(least)]
    return value < other || (value === other && one > least) ? one : least
  })
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
