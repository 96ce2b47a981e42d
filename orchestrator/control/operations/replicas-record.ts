import { z } from 'zod'
import { commonFields, whole } from './record-fields.js'
import { SHARDS_MAX } from './reshard-record.js'

// A change of the number of nodes in each group. Who is a member is decided by the group's log, never by what stands here.

export const REPLICAS_MAX = 7

const replicas = z.int().min(1).max(REPLICAS_MAX)

const change = z.strictObject({
  /** 0 is meta. */
  shard: whole.max(SHARDS_MAX),
  how: z.enum(['add', 'remove']),
  /** Of the node that comes or goes; 0 until it is chosen, which is before anything is done with it. */
  index: whole,
  state: z.enum(['waiting', 'running', 'done']),
  /** How many nodes were begun; of an addition. */
  attempts: whole,
})

export const replicasSchema = z.strictObject({
  ...commonFields,
  kind: z.literal('replicas'),
  fromReplicas: replicas,
  toReplicas: replicas,
  /** The changes are those that lead back. */
  turned: z.boolean(),
  changes: z.array(change).max(2 * REPLICAS_MAX * (SHARDS_MAX + 1)),
})

export type ReplicasRecord = z.output<typeof replicasSchema>
export type ReplicaChange = z.output<typeof change>

/** How many replicas there are to be when it has ended. */
export function replicasGoalOf({ state, fromReplicas, toReplicas }: ReplicasRecord): number {
  return state === 'cancelling' || state === 'cancelled' ? fromReplicas : toReplicas
}

/** What leads every group, by its number of members, to so many; one group after the other. */
export function planChanges(sizes: readonly (readonly [shard: number, size: number])[], goal: number): ReplicaChange[] {
  return sizes.flatMap(([shard, size]) =>
    Array.from({ length: Math.abs(goal - size) }, () => planned(shard, goal > size ? 'add' : 'remove', 0)),
  )
}

/** What has been done, and then the way back: the last change first. A node that was added goes again, and no other one. */
export function turnChangesBack(changes: readonly ReplicaChange[]): ReplicaChange[] {
  const done = changes.filter(({ state }) => state === 'done')
  const back = done.map(({ shard, how, index }) =>
    how === 'add' ? planned(shard, 'remove', index) : planned(shard, 'add', 0),
  )
  return [...done, ...back.reverse()]
}

function planned(shard: number, how: 'add' | 'remove', index: number): ReplicaChange {
  return { shard, how, index, state: 'waiting', attempts: 0 }
}

/** The record with one of its changes changed. */
export function withChange(record: ReplicasRecord, at: number, change: Partial<ReplicaChange>): ReplicasRecord {
  const changes = record.changes.map((one, index) => (index === at ? { ...one, ...change } : one))
  return { ...record, changes }
}
