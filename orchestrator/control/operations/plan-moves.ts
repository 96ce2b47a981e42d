import type { Range } from '../placement.js'
import type { MoveRecord } from './reshard-record.js'

/**
 * Partitions of one move, at most. A move costs one pass over the giver's keys, however many they are; a move that
 * fails has to be done again, and a pause stops behind the one under way.
 */
export const PARTITIONS_PER_MOVE_MAX = 32

/**
 * The moves that lead from one table of owners to another, one after the other: each partition goes straight to its new
 * owner. Givers take turns, so that none of them stays the fullest until the end.
 */
export function planMoves(
  current: readonly number[],
  target: readonly number[],
  partitionsMax = PARTITIONS_PER_MOVE_MAX,
): MoveRecord[] {
  const pairs = new Map<string, { from: number; to: number; partitions: number[] }>()
  target.forEach((to, partition) => {
    const from = current[partition]
    if (from === undefined || from === to) return
    const pair = pairs.get(`${from} ${to}`) ?? { from, to, partitions: [] }
    pair.partitions.push(partition)
    pairs.set(`${from} ${to}`, pair)
  })
  const rounds = [...pairs.values()]
    .sort((a, b) => a.to - b.to || a.from - b.from)
    .flatMap(({ from, to, partitions }) =>
      chunks(partitions, partitionsMax).map((chunk, round) => ({ round, move: plannedMove(from, to, chunk) })),
    )
  return rounds.sort((a, b) => a.round - b.round).map(({ move }) => move)
}

/** What has been done, and then the way back: the last move first. */
export function turnBack(moves: readonly MoveRecord[]): MoveRecord[] {
  const done = moves.filter(({ state }) => state === 'done')
  const back = done.map(({ from, to, partitions }) => ({ ...plannedMove(to, from, []), partitions }))
  return [...done, ...back.reverse()]
}

function plannedMove(from: number, to: number, partitions: readonly number[]): MoveRecord {
  const ranges = asRanges(partitions)
  return { from, to, partitions: ranges, state: 'waiting', epoch: 0, attempts: 0, records: 0, bytes: 0, pauseUs: 0 }
}

/** Numbers in order, as ranges. */
function asRanges(numbers: readonly number[]): Range[] {
  const ranges: { first: number; last: number }[] = []
  for (const number of numbers) {
    const open = ranges.at(-1)
    if (open !== undefined && open.last === number - 1) open.last = number
    else ranges.push({ first: number, last: number })
  }
  return ranges
}

function chunks<T>(all: readonly T[], size: number): T[][] {
  const count = Math.ceil(all.length / size)
  // As equal as can be: a small last one would cost a pass of its own as well.
  return Array.from({ length: count }, (_, at) =>
    all.slice(Math.floor((at * all.length) / count), Math.floor(((at + 1) * all.length) / count)),
  )
}
