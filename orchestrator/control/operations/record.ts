import { z } from 'zod'
import { PARTITIONS } from '../../core/slot.js'

// An operation as the journal in meta has it: JSON, checked when it is read. It is a plan and what has become of it.
// Whether a move was done is decided by the giver's log (node-go/move/DESIGN.md), never by what stands here.

export const SHARDS_MAX = 256

const whole = z.int().min(0)
const shard = z.int().min(1).max(SHARDS_MAX)
const partition = z
  .int()
  .min(0)
  .max(PARTITIONS - 1)

const range = z
  .strictObject({ first: partition, last: partition })
  .refine(({ first, last }) => first <= last, 'a range ends before it begins')

const move = z.strictObject({
  from: shard,
  to: shard,
  partitions: z.array(range).min(1),
  /** `running`: its last attempt has begun, and what became of it is not written down yet. */
  state: z.enum(['waiting', 'running', 'done']),
  /** Of the last attempt; 0 before the first. */
  epoch: whole,
  attempts: whole,
  /** Of the attempt that succeeded. */
  records: whole,
  bytes: whole,
  pauseUs: whole,
})

export const operationSchema = z.strictObject({
  format: z.literal(1),
  id: z.string().min(1).max(64),
  fromShards: shard,
  toShards: shard,
  state: z.enum(['running', 'cancelling', 'done', 'cancelled']),
  paused: z.boolean(),
  /** The moves are those that lead back. */
  turned: z.boolean(),
  /** Shards are being taken away: it can only be finished. */
  retiring: z.boolean(),
  /** Ms since 1970, for people; 0: not yet. */
  begunAt: whole,
  endedAt: whole,
  moves: z.array(move).max(2 * PARTITIONS),
})

export type OperationRecord = z.output<typeof operationSchema>
export type MoveRecord = z.output<typeof move>

export function isOver({ state }: OperationRecord): boolean {
  return state === 'done' || state === 'cancelled'
}

/** How many shards there are to be when it has ended. */
export function goalOf({ state, fromShards, toShards }: OperationRecord): number {
  return state === 'cancelling' || state === 'cancelled' ? fromShards : toShards
}

/** For people. */
export function describe({ fromShards, toShards }: Pick<OperationRecord, 'fromShards' | 'toShards'>): string {
  return `scale from ${fromShards} to ${toShards} shards`
}

/** The record with one of its moves changed. */
export function withMove(record: OperationRecord, at: number, change: Partial<MoveRecord>): OperationRecord {
  const moves = record.moves.map((one, index) => (index === at ? { ...one, ...change } : one))
  return { ...record, moves }
}
