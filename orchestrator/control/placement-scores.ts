import { PARTITIONS } from '../core/slot.js'

// How much each partition likes each shard: a number in (0, 1), the same for ever, whatever other shards there are. With
// numbers that are simply hashes this is rendezvous hashing (Thaler, Ravishankar 1998): nothing moves between shards that
// stay, but loads differ as those of dice do. So here the winners are evened out. Shard k, as the k-th of 1..k, becomes
// the first choice of floor(1024 / k) partitions, taken from those that are the first choice of most; there it likes to
// score more than all shards before it, and everywhere else it scores less. Apart from that all scores are hashes.

/** What a hash is for. */
const WINNERS = 0
const SCORES = 1
/** From here on: the further shares of shards that have more than one. */
const SHARES = 2

/** The scores of any number of shards. It computes what it is asked for, and remembers it. */
export class Scores {
  /** Element k - 1: the scores of shard k, for those that have winners. */
  readonly #first: Float64Array[] = []
  /** Element k - 1: the partitions whose first choice shard k is among 1..k. */
  readonly #winners: number[][] = []
  /** The first choice of each partition among the shards so far, and its score. */
  readonly #homes = new Int32Array(PARTITIONS)
  readonly #best = new Float64Array(PARTITIONS)
  readonly #loads: number[] = []

  /** Of a shard for all partitions. `share`: a shard of weight w has shares 0 to w - 1. */
  of(shard: number, share = 0): Float64Array {
    if (share > 0) return fill((partition) => hash(partition, shard, SHARES + share))
    this.#reach(shard)
    return this.#first[shard - 1] ?? this.#without(shard)
  }

  /** The first choice of each partition among the shards 1 to `last`, of one share each. */
  homes(last: number): Int32Array {
    this.#reach(last)
    const homes = new Int32Array(PARTITIONS)
    for (const [at, winners] of this.#winners.slice(0, last).entries()) {
      for (const partition of winners) homes[partition] = at + 1
    }
    return homes
  }

  #reach(shard: number): void {
    while (this.#first.length < Math.min(shard, PARTITIONS)) this.#add(this.#first.length + 1)
  }

  #add(shard: number): void {
    const scores = this.#without(shard)
    const winners = this.#choose(shard)
    for (const partition of winners) {
      const best = this.#best[partition] ?? 0
      scores[partition] = best + (1 - best) * hash(partition, shard, SCORES)
      this.#best[partition] = scores[partition] ?? 0
      this.#homes[partition] = shard
    }
    this.#first.push(scores)
    this.#winners.push(winners)
  }

  /** The scores of a shard that is nobody's first choice. */
  #without(shard: number): Float64Array {
    return fill((partition) => (this.#best[partition] ?? 0) * hash(partition, shard, SCORES))
  }

  /** Those that most partitions have as their first choice lose one each, until the new shard has its share. */
  #choose(shard: number): number[] {
    if (shard === 1) {
      this.#loads.push(PARTITIONS)
      return [...this.#homes.keys()]
    }
    // A hash would beat a score of 0.9 in one of ten cases, and one of 0.99 in one of a hundred: so do the winners.
    const odds = fill((partition) => hash(partition, shard, WINNERS) / (1 - (this.#best[partition] ?? 0)))
    const order = [...odds.keys()].sort((a, b) => (odds[a] ?? 0) - (odds[b] ?? 0))
    const chosen = new Set<number>()
    while (chosen.size < Math.floor(PARTITIONS / shard)) {
      const most = this.#loads.reduce((greatest, load) => Math.max(greatest, load), 0)
      const next = order.find((at) => !chosen.has(at) && this.#loads[(this.#homes[at] ?? 0) - 1] === most)
      if (next === undefined) throw new Error('there are fewer partitions than were counted')
      chosen.add(next)
      this.#loads[(this.#homes[next] ?? 0) - 1] = most - 1
    }
    this.#loads.push(chosen.size)
    return [...chosen]
  }
}

function fill(value: (partition: number) => number): Float64Array {
  return Float64Array.from({ length: PARTITIONS }, (_, partition) => value(partition))
}

/** Murmur3 (x86, 32 bits, seed 0) of three words, in (0, 1). Data lies where it says: it is for ever. */
export function hash(...words: readonly [number, number, number]): number {
  let state = 0
  for (const word of words) {
    state ^= Math.imul(rotated(Math.imul(word, 0xcc9e2d51), 15), 0x1b873593)
    state = Math.imul(rotated(state, 13), 5) + 0xe6546b64
  }
  state ^= 4 * words.length
  state = Math.imul(state ^ (state >>> 16), 0x85ebca6b)
  state = Math.imul(state ^ (state >>> 13), 0xc2b2ae35)
  return (((state ^ (state >>> 16)) >>> 0) + 0.5) / 2 ** 32
}

function rotated(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits))
}
