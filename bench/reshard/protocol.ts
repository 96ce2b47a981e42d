// What the benchmark and its driver say to each other: the load, when it runs, when to end, and then what there was.

export interface Load {
  readonly address: string
  /** Each with one operation at a time; unless there is a rate. */
  readonly callers: number
  /** Operations a second, whether or not the earlier ones are answered. */
  readonly rate: number | undefined
  readonly keys: number
  readonly valueBytes: number
  /** Ms of one interval of the timeline. */
  readonly everyMs: number
}

/** What was done in one interval; an operation belongs to the one in which it ended. */
export interface Interval {
  /** Ms since 1970. */
  readonly from: number
  readonly operations: number
  readonly errors: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
}

export interface Ended {
  readonly intervals: readonly Interval[]
  /** In words; empty without any. */
  readonly firstError: string
}
