import { z } from 'zod'
import { commonFields } from './record-fields.js'

// A rolling restart. Whether a node's process is one that it has started stands with the process's pid in the registry
// (NodeRecord.startedFor), never here: this says which nodes have been seen through.

/** Machines have names of any length. */
export const WHY_MAX = 300

/** The name of a program that was taken in; null: the driver's own. */
const program = z.string().min(1).max(80).nullable()

const step = z.strictObject({
  shard: z.int().min(0),
  index: z.int().min(1),
  /**
   * `running`: its process may have been ended, and the new one has not been seen to have caught up. `skipped`: nobody waits for
   * it any more, because a machine is gone.
   */
  state: z.enum(['waiting', 'running', 'done', 'skipped']),
  /** Why it was skipped. */
  why: z.string().min(1).max(WHY_MAX).optional(),
  /** What it is to be started with, and what it was started with before. */
  program,
  before: program,
})

export const rollingSchema = z.strictObject({
  ...commonFields,
  kind: z.literal('rolling'),
  /** What new nodes are to be started with when it is done. undefined: it is no upgrade. */
  program: z.string().min(1).max(80).optional(),
  /** What they were to be started with before, when it is one. */
  programBefore: program,
  /** The name of the node, when it is one that was asked for. */
  node: z.string().min(1).max(40).optional(),
  /** The nodes are those that lead back, each to the program that it had before. */
  turned: z.boolean(),
  /** Shards are being raised to a newer format: it can only be finished. */
  raising: z.boolean(),
  /** Why it has paused by itself; empty when it has not. */
  trouble: z.string(),
  nodes: z.array(step).max(2_000),
})

export type RollingRecord = z.output<typeof rollingSchema>
export type RollingStep = z.output<typeof step>

/** The record with one of its steps changed. */
export function withStep(record: RollingRecord, at: number, change: Partial<RollingStep>): RollingRecord {
  const nodes = record.nodes.map((one, index) => (index === at ? { ...one, ...change } : one))
  return { ...record, nodes }
}

/** Who was touched, the last first, to what they had before. A restart changes nothing that could be taken back. */
export function turnedBack(record: RollingRecord): RollingRecord {
  const touched = record.nodes.filter(({ state, program, before }) => state !== 'waiting' && program !== before)
  const nodes = touched
    .reverse()
    .map(({ why: _, ...one }) => ({ ...one, state: 'waiting' as const, program: one.before }))
  return { ...record, turned: true, trouble: '', nodes }
}

/** Those that were not restarted, and why. */
export function skippedIn({ nodes }: Pick<RollingRecord, 'nodes'>): readonly RollingStep[] {
  return nodes.filter(({ state }) => state === 'skipped')
}
