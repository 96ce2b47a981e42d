// What meta is written: rows of the journal and maps, by the real schema and plan.

import { planMoves, turnBack } from '../../orchestrator/control/operations/plan-moves.js'
import { operationSchema } from '../../orchestrator/control/operations/record.js'
import { DEFAULT_LIMITS } from '../../orchestrator/core/limits.js'
import { PARTITIONS } from '../../orchestrator/core/slot.js'
import { encodeClusterMap } from '../../orchestrator/wire/cluster-map.js'
import { type Fleet, KNOWN } from './inputs.js'
import { mapOf } from './map.js'
import { mapsForAddresses } from './push.js'
import { bytes, duration, type Section } from './section.js'
import { placed } from './skew.js'

type Moves = ReturnType<typeof planMoves>

/** The journal's row of an operation all of whose moves are done, with figures as long as they get here. */
export function recordOf(from: number, to: number, moves: Readonly<Moves>) {
  const done = moves.map((move) => ({
    ...move,
    state: 'done' as const,
    epoch: 100_000,
    attempts: 1,
    records: 9_765_625,
    bytes: 3_046_875_000,
    pauseUs: 100_000,
  }))
  const state = { state: 'running' as const, paused: false, turned: false, retiring: false }
  const times = { begunAt: 1_790_000_000_000, endedAt: 0 }
  return { format: 1, id: '0123456789ab', fromShards: from, toShards: to, ...state, ...times, moves: done }
}

export interface OperationLoad {
  readonly moves: number
  readonly rowBytes: number
  /** Cancelled when all but one of its moves were done: the row has them and those that lead back. */
  readonly turnedBytes: number
  readonly writes: number
  readonly bytes: number
  /** Whether this version would write it. */
  readonly isAllowed: boolean
}

/** Of each move meta gets an epoch, `running`, the map, `done`: the row whole twice, the map once. */
const ROWS_PER_MOVE = 2
const WRITES_PER_MOVE = ROWS_PER_MOVE + 2
/** The index and the row when it is begun, the map with the new shards, the row when it has ended. */
const WRITES_BESIDE = 4

export function operationLoad(from: number, to: number, mapBytes: number): OperationLoad {
  const moves = planMoves(placed(from), placed(to))
  const record = recordOf(from, to, moves)
  const rowBytes = sizeOf(record)
  return {
    moves: moves.length,
    rowBytes,
    turnedBytes: sizeOf({ ...record, moves: turnBack(record.moves) }),
    writes: moves.length * WRITES_PER_MOVE + WRITES_BESIDE,
    bytes: moves.length * (ROWS_PER_MOVE * rowBytes + mapBytes) + 2 * rowBytes + mapBytes,
    isAllowed: operationSchema.safeParse(record).success,
  }
}

function sizeOf(record: object): number {
  return Buffer.byteLength(JSON.stringify(record))
}

/** The greatest row that a plan leads to: each partition alone in its move, and all of them turned back. */
export function greatestRow(shards: number): number {
  const from = Array<number>(PARTITIONS).fill(shards)
  const to = from.map((_, partition) => shards - 1 - (partition % 2))
  const moves = planMoves(from, to, 1)
  return sizeOf(recordOf(shards, shards, [...moves, ...moves]))
}

/** The greatest id of a shard that an operation may name. */
function shardsMax(): number {
  let max = PARTITIONS
  while (!operationSchema.safeParse(recordOf(max, max, [])).success) max--
  return max
}

/** The reshards that are looked at: from little, from a quarter, by one. */
export function reshardsOf(shards: number): [from: number, to: number][] {
  const quarter = Math.max(1, Math.floor(shards / 4))
  return [
    [3, Math.min(256, shards)],
    [quarter, shards],
    [3, shards],
    [shards, shards + 1],
  ]
}

export function metaSection({ shards, replicas, seed, restartS, racks }: Fleet): Section {
  const limit = DEFAULT_LIMITS.valueBytesMax
  const mapBytes = encodeClusterMap(mapOf(shards, replicas, seed)).length
  const perRack = Math.ceil((shards * replicas) / racks)
  const at = Array.from({ length: perRack }, (_, node) => (node * restartS * 1000) / perRack)
  const perSecond = (mapsForAddresses(at) - perRack) / restartS
  const greatest = greatestRow(shards)
  return {
    title: `Meta: what operations write (a value may have ${bytes(limit)})`,
    head: ['operation', 'moves', 'its row', 'cancelled at the end', 'writes', 'written in all', 'taken'],
    rows: reshardsOf(shards).map(([from, to]) => {
      const load = operationLoad(from, to, encodeClusterMap(mapOf(to, replicas, seed)).length)
      const taken = load.isAllowed ? 'yes' : `no: at most ${shardsMax()} shards`
      const { moves, rowBytes, turnedBytes, writes } = load
      return [`${from} to ${to}`, moves, bytes(rowBytes), bytes(turnedBytes), writes, bytes(load.bytes), taken]
    }),
    notes: [
      `The greatest row that a plan leads to (${PARTITIONS} moves, turned back at the end): ${bytes(greatest)}, ` +
        `${Math.round((100 * greatest) / limit)} % of what a value may have. No fault; but each step writes the whole row, so what is ` +
        'written grows with the square of the moves.',
      `${perRack} addresses in ${duration(restartS)}: ${perSecond.toFixed(1)} maps/s of ${bytes(mapBytes)} into meta and into the registry, ` +
        `${bytes(perSecond * mapBytes)}/s each. At most ${1000 / KNOWN.metaRound.value} maps/s, whatever happens. Idle: none.`,
    ],
  }
}
