// What the benchmark and its driver say to each other. Each job has one answer.

export const VERBS = ['put', 'get'] as const
export type Verb = (typeof VERBS)[number]

export interface ConnectJob {
  readonly kind: 'connect'
  readonly address: string
}

/** Gives every key from `from` up to `to` a value. */
export interface FillJob {
  readonly kind: 'fill'
  readonly from: number
  readonly to: number
  readonly valueBytes: number
  readonly callers: number
}

/** Callers that each take any of the keys, one operation after the other. */
export interface LoadJob {
  readonly kind: 'load'
  readonly verb: Verb
  readonly callers: number
  readonly seconds: number
  readonly keys: number
  readonly valueBytes: number
}

export type Job = ConnectJob | FillJob | LoadJob

export interface LoadDone {
  readonly operations: number
  /** Those that succeeded. */
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
  /** CPU time of the driver, user and system. */
  readonly cpuUs: number
  readonly errors: number
  /** The first of them, in words; empty without any. */
  readonly firstError: string
}
