// How long partitions take to move, and how many writes a move bears meanwhile.

import { numbersOf } from '../../orchestrator/control/map-changes.js'
import { PARTITIONS_PER_MOVE_MAX, planMoves } from '../../orchestrator/control/operations/plan-moves.js'
import { PARTITIONS } from '../../orchestrator/core/slot.js'
import { type Fleet, KNOWN, keysPerPartition, recordBytes } from './inputs.js'
import { reshardsOf } from './meta.js'
import { bytes, duration, type Section } from './section.js'
import { placed } from './skew.js'

/** Seconds of a move: the rate that it is held to, or the records that it gets through. */
export function moveSeconds(fleet: Fleet, partitions = 1): number {
  const keys = partitions * keysPerPartition(fleet, PARTITIONS)
  return Math.max(keys / KNOWN.moveRecords.value, (keys * recordBytes(fleet)) / (KNOWN.importRate.value * 1e6))
}

/** Different keys a second that may change in what moves, or the giver gives up: it keeps them until its view is sent. */
export function changesBorne(fleet: Fleet, partitions: number): number {
  const keys = KNOWN.exportBytes.value / (fleet.keyBytes + KNOWN.exportedKey.value)
  return keys / moveSeconds(fleet, partitions)
}

interface Reshard {
  readonly moves: number
  readonly partitions: number
  /** Partitions of the largest move. */
  readonly largest: number
  /** Seconds, one move after the other; and if every shard took part in one at a time. */
  readonly oneByOne: number
  readonly perShard: number
}

export function reshardTimes(fleet: Fleet, from: number, to: number): Reshard {
  const sizes = planMoves(placed(from), placed(to)).map((move) => ({
    ...move,
    count: numbersOf(move.partitions).length,
  }))
  const busy = new Map<number, number>()
  for (const { from: giver, to: receiver, count } of sizes) {
    for (const shard of [giver, receiver]) busy.set(shard, (busy.get(shard) ?? 0) + moveSeconds(fleet, count))
  }
  const counts = sizes.map(({ count }) => count)
  const partitions = counts.reduce((sum, count) => sum + count, 0)
  return {
    moves: sizes.length,
    partitions,
    largest: Math.max(...counts),
    oneByOne: moveSeconds(fleet, partitions),
    // No shard can be done sooner than what it gives and takes.
    perShard: Math.max(...busy.values()),
  }
}

export function movesSection(fleet: Fleet): Section {
  const perPartition = keysPerPartition(fleet, PARTITIONS)
  return {
    title: `Moves: ${perPartition.toExponential(2)} keys a partition, ${bytes(perPartition * recordBytes(fleet))}`,
    head: [
      'reshard',
      'moves',
      'partitions',
      'bytes',
      'one by one',
      'a move a shard',
      'largest move',
      'takes',
      'changed keys/s it bears',
    ],
    rows: reshardsOf(fleet.shards).map(([from, to]) => {
      const { moves, partitions, largest, oneByOne, perShard } = reshardTimes(fleet, from, to)
      return [
        `${from} to ${to}`,
        moves,
        partitions,
        bytes(partitions * perPartition * recordBytes(fleet)),
        duration(oneByOne),
        duration(perShard),
        largest,
        duration(moveSeconds(fleet, largest)),
        changesBorne(fleet, largest),
      ]
    }),
    notes: [
      `Held to ${KNOWN.importRate.value.toFixed(1)} MB/s, or ${KNOWN.moveRecords.value.toLocaleString('en')} records/s, whichever is less. "a move a ` +
        'shard": at least so long, if each shard gave or took one at a time.',
      'A giver keeps the keys that change while its view is sent (64 MiB) and gives up past that; the move is then begun anew, and ' +
        `ends in the same way for as long as there are so many writes. A move of ${PARTITIONS_PER_MOVE_MAX} such partitions, which fewer ` +
        `shards would make, takes ${duration(moveSeconds(fleet, PARTITIONS_PER_MOVE_MAX))} and bears ` +
        `${changesBorne(fleet, PARTITIONS_PER_MOVE_MAX).toFixed(0)} a second.`,
    ],
  }
}
