import type { Clock } from '../../core/clock.js'
import type { MapSource } from '../../core/map-source.js'
import type { DeleteResult } from '../../core/operation.js'
import type { RangeStore } from '../../core/range.js'
import type { Telemetry } from '../../telemetry/index.js'
import type { ImportResponse } from '../../wire/node-admin.js'
import type { Fleet } from '../fleet.js'
import type { Leaders } from '../leaders/leaders.js'
import type { MapPublisher } from '../map-publisher.js'
import type { Programs } from '../programs.js'
import type { Journal } from './journal.js'
import type { Lane, OperationRecord } from './record.js'

/** The keys of the whole cluster, for an operation that works on them. Calls reject with a KvError. */
export interface KeyStore extends RangeStore {
  /** Deletes the key if it has this version, when one is named; else PRECONDITION_FAILED. */
  delete(key: Uint8Array, options: { readonly ifVersion?: bigint; readonly deadlineMs: number }): Promise<DeleteResult>
  /** Ends what is under way, with an honest outcome. Closed already: does nothing. */
  close(): void
}

export type OpenKeys = (maps: MapSource) => KeyStore

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
  /** Opens a way to the keys, for whoever closes it. Absent: there is none, and no operation that would need it begins. */
  readonly openKeys?: OpenKeys
}

/** How far one is that works on keys. */
export interface KeysProgress {
  readonly deleted: number
  readonly passed: number
}

/** The same, and whom to tell how far it is. */
export interface OperationTools extends OperationParts {
  /** What it does now, for people. */
  readonly doing: (what: string) => void
  /** A receiver owes something. */
  readonly owed: () => void
  /** How far the move under way is. */
  readonly heard: (progress: ImportResponse) => void
  /** How far it is with the keys. */
  readonly walked: (progress: KeysProgress) => void
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
  /** Default cluster. */
  readonly lane?: Lane
  /** Whether this operation, which is under way, does it. */
  readonly isMetBy: (open: OperationRecord) => boolean
  /** What that one becomes when this is asked for beside it. Absent: what it is. */
  readonly join?: (open: OperationRecord) => OperationRecord
  /** The operation that would do it now, without an id; one that is done when there is nothing to do. Throws when it cannot be. */
  readonly plan: (parts: OperationParts) => OperationRecord
  /** Throws a StartFault or a KvError when it could not begin now, whatever the plan. */
  readonly expectPossible: (parts: OperationParts) => void | Promise<void>
}
