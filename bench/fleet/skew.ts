// How even a placement is, and what one shard more or less moves: asked of the real place().

import { LOAD_FACTOR, place } from '../../orchestrator/control/placement.js'
import { Scores } from '../../orchestrator/control/placement-scores.js'
import { PARTITIONS } from '../../orchestrator/core/slot.js'
import { type Fleet, keysPerPartition } from './inputs.js'
import type { Section } from './section.js'

const COUNTS = [10, 32, 64, 102, 128, 200, 256, 341, 400, 511, 512, 700, 1000, 1024]

export interface Skew {
  readonly shards: number
  readonly least: number
  readonly most: number
  /** How many shards hold the most. */
  readonly atMost: number
  readonly maxToMean: number
  /** Partitions that move to n + 1, and to n - 1. */
  readonly movedUp: number
  readonly movedDown: number
}

export function skewOf(shards: number): Skew {
  const owners = placed(shards)
  const loads = loadsOf(owners, shards)
  const most = Math.max(...loads)
  return {
    shards,
    least: Math.min(...loads),
    most,
    atMost: loads.filter((load) => load === most).length,
    maxToMean: most / (PARTITIONS / shards),
    movedUp: differing(owners, placed(shards + 1)),
    movedDown: differing(owners, placed(Math.max(1, shards - 1))),
  }
}

/** Partitions of each shard, shard 1 first. */
export function loadsOf(owners: readonly number[], shards: number): number[] {
  const loads = Array<number>(shards).fill(0)
  for (const owner of owners) loads[owner - 1] = (loads[owner - 1] ?? 0) + 1
  return loads
}

/** Scores are the same for ever, and so is what follows from them: each is made once. */
const SCORES = new Scores()
const PLACED = new Map<number, readonly number[]>()

/** The owners that place() gives the shards 1 to this one. */
export function placed(shards: number): readonly number[] {
  const known = PLACED.get(shards)
  if (known !== undefined) return known
  const ids = Array.from({ length: shards }, (_, at) => at + 1)
  const owners = place(ids, { scores: SCORES })
  PLACED.set(shards, owners)
  return owners
}

function differing(one: readonly number[], other: readonly number[]): number {
  return one.filter((owner, partition) => owner !== other[partition]).length
}

/** The largest n up to which no number of shards holds more than `bound` times its mean. */
export function evenUpTo(bound: number): number {
  let shards = 1
  while (Math.ceil(PARTITIONS / (shards + 1)) / (PARTITIONS / (shards + 1)) <= bound) shards++
  return shards
}

export function skewSection(fleet: Fleet): Section {
  const counts = [...new Set([...COUNTS, fleet.shards])].sort((a, b) => a - b)
  const perPartition = keysPerPartition(fleet, PARTITIONS)
  const here = skewOf(fleet.shards)
  return {
    title: `Placement of ${PARTITIONS} partitions`,
    head: ['shards', 'least', 'most', 'shards at most', 'max/mean', 'keys of the fullest', 'moved at +1', 'at -1'],
    rows: counts.map((count) => {
      const skew = skewOf(count)
      const { least, most, atMost, maxToMean, movedUp, movedDown } = skew
      return [count, least, most, atMost, maxToMean, most * perPartition, movedUp, movedDown]
    }),
    notes: [
      `${fleet.shards} shards: ${here.atMost} of them hold ${here.most} partitions, ${here.maxToMean.toFixed(2)} times the mean: ` +
        'as many times the keys, memory, writes, time to open and to copy. A fleet of equal machines is bought for those.',
      `The load factor (${LOAD_FACTOR}) is kept for every number of shards up to ${evenUpTo(LOAD_FACTOR)}; max/mean 1.25 up to ` +
        `${evenUpTo(1.25)}, 1.5 up to ${evenUpTo(1.5)}. From 513 to 1,023 shards it grows from 1.00 to 2.00.`,
      `One partition is the least that can move: ${perPartition.toExponential(2)} keys here. A hot one cannot be split.`,
    ],
  }
}
