import type { Clock } from '../../core/clock.js'
import type { Telemetry } from '../../telemetry/index.js'
import type { ImportResponse } from '../../wire/node-admin.js'
import type { Fleet } from '../fleet.js'
import type { Leaders } from '../leaders/leaders.js'
import type { MapPublisher } from '../map-publisher.js'
import type { Programs } from '../programs.js'
import type { Journal } from './journal.js'
import type { OperationRecord } from './record.js'

/** What operations work with. */
export interface OperationParts {
  readonly journal: Journal
  readonly fleet: Fleet
  readonly publisher: MapPublisher
  readonly telemetry: Telemetry
  readonly clock: Clock
  /** How long a shard without partitions goes on answering for the writes that it was sent before. */
  readonly lingerMs: number
  readonly moveRestFactor?: number
  readonly partitionsPerMoveMax?: number
  readonly programs: Programs
  /** Who is to lead nothing: a node that has to be left by its leadership leaves it to another one, if there is one. */
  readonly leaders: Pick<Leaders, 'unfit'>
  /** How long a node may take to end, and how long to get any further when it starts. */
  readonly stopTimeoutMs: number
  readonly startTimeoutMs: number
}

/** The same, and whom to tell how far it is. */
export interface OperationTools extends OperationParts {
  /** What it does now, for people. */
  readonly doing: (what: string) => void
  /** A receiver owes something. */
  readonly owed: () => void
  /** How far the move under way is. */
  readonly heard: (progress: ImportResponse) => void
}

/** A part of an operation, for people. */
export interface Step {
  readonly what: string
  readonly state: 'waiting' | 'running' | 'done' | 'skipped'
  readonly detail: string
}

/** What the operations of one kind are and do. One file each; `kinds.ts` has them all. */
export interface Kind<Record extends OperationRecord> {
  /** For people: "scale from 3 to 5 shards". */
  readonly describe: (record: Record) => string
  /** What is done and what is to be done, in order. None of a kind whose progress its moves tell. */
  readonly steps: (record: Record) => readonly Step[]
  /** Why it has paused by itself, or what it has ended without, for people; empty when there is nothing. Absent: there never is. */
  readonly trouble?: (record: Record) => string
  /** Throws when it can only be finished. Else what it becomes when it is cancelled, besides its state. */
  readonly cancelled: (record: Record) => Record
  /**
   * Carries it on, from wherever it is to its end, or until a person steers it another way: then this returns, and is called
   * again. Every step finds out by itself whether it is done already, so that it makes no difference at which of them an
   * earlier orchestrator died. `recalled` is aborted when the operation is cancelled meanwhile.
   */
  readonly run: (record: Record, tools: OperationTools, recalled: AbortSignal, signal: AbortSignal) => Promise<void>
}

/** What a person asks for. */
export interface Wish {
  /** Whether this operation, which is under way, does it. */
  readonly isMetBy: (open: OperationRecord) => boolean
  /** The operation that would do it now, without an id; one that is done when there is nothing to do. Throws when it cannot be. */
  readonly plan: (parts: OperationParts) => OperationRecord
  /** Throws a StartFault or a KvError when it could not begin now, whatever the plan. */
  readonly expectPossible: (parts: OperationParts) => void | Promise<void>
}
