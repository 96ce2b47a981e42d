import type { Clock } from '../core/clock.js'
import type { Limits } from '../core/limits.js'
import type { MapSource } from '../core/map-source.js'
import type { Operation, Result, Stamp } from '../core/operation.js'
import type { RangeStore } from '../core/range.js'
import type { KvError } from '../errors/index.js'
import type { Budget } from './budget.js'
import type { ReadGate } from './read-gate.js'
import type { Readers } from './readers.js'
import type { Toll } from './toll.js'

/** Called once per operation, with an error or with a result; perhaps before the call that took it has returned. */
export type Done = (error: KvError | undefined, result: Result | undefined) => void

/** What the gateway asks of a Store: a callback instead of a promise, because this is the hot path. */
export interface OperationStore {
  /** Without a stamp a write gets one of the Store's own. */
  submit(operation: Operation, deadlineMs: number, done: Done, stamp?: Stamp): void
  /** Why it would refuse every operation now, if it would: then a message need not even be decoded. */
  full?(): KvError | undefined
  /** Undefined: it has no ranges. */
  readonly ranges?: RangeStore | undefined
}

/** What every service of one gateway shares. */
export interface GatewayContext {
  readonly limits: Limits
  readonly maps: MapSource
  readonly clock: Clock
  /** Bytes that all streams together hold, the values included. */
  readonly budget: Budget
  /** Of those, the values that wait to be read: they leave room for requests. */
  readonly values: Budget
  /** Gates at which gets wait for room. */
  readonly crowd: Set<ReadGate>
  readonly readers: Readers
  readonly toll: Toll
  /** Unary calls in progress. */
  calls: number
  readonly full: () => KvError | undefined
  readonly ranges: RangeStore | undefined
  /** Hands an operation to the Store. */
  readonly submit: OperationStore['submit']
}
