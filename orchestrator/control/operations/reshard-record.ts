import { z } from 'zod'
import { PARTITIONS } from '../../core/slot.js'
import { commonFields, whole } from './record-fields.js'

// A change of the number of shards. Whether a move was done is decided by the giver's log (node-go/move/DESIGN.md), never by
// what stands here.

export const SHARDS_MAX = 256

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

/** A receiver was not told yet to drop what an attempt has left there. The giver's log has decided against the attempt. */
export const debtSchema = z.strictObject({ shard, epoch: whole, partitions: z.array(range).min(1) })

export const reshardSchema = z.strictObject({
  ...commonFields,
  kind: z.literal('reshard'),
  fromShards: shard,
  toShards: shard,
  /** The moves are those that lead back. */
  turned: z.boolean(),
  /** Shards are being taken away: it can only be finished. */
  retiring: z.boolean(),
  moves: z.array(move).max(2 * PARTITIONS),
})

export type ReshardRecord = z.output<typeof reshardSchema>
export type MoveRecord = z.output<typeof move>
export type Debt = z.output<typeof debtSchema>

/** How many shards there are to be when it has ended. */
export function goalOf({ state, fromShards, toShards }: ReshardRecord): number {
  return state === 'cancelling' || state === 'cancelled' ? fromShards : toShards
}

/** The record with one of its moves changed. */
export function withMove(record: ReshardRecord, at: number, change: Partial<MoveRecord>): ReshardRecord {
  const moves = record.moves.map((one, index) => (index === at ? { ...one, ...change } : one))
  return { ...record, moves }
}
