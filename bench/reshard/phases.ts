// What happened when, and what it did to the callers.
import type { Interval } from './protocol.js'

export interface Phase {
  readonly name: string
  /** Ms since 1970. */
  readonly from: number
  readonly to: number
}

export interface PhaseFigures {
  readonly name: string
  readonly seconds: number
  readonly perSecond: number
  /** The median and the greatest of its intervals'. */
  readonly p99Ms: number
  readonly maxMs: number
  readonly errors: number
}

/** Of the intervals that lie wholly within the phase; not a number without one. */
export function figuresOf({ name, from, to }: Phase, intervals: readonly Interval[], everyMs: number): PhaseFigures {
  const within = intervals.filter((one) => one.from >= from && one.from + everyMs <= to)
  const sum = (of: (one: Interval) => number) => within.reduce((total, one) => total + of(one), 0)
  return {
    name,
    seconds: (to - from) / 1000,
    perSecond: sum(({ operations }) => operations) / ((within.length * everyMs) / 1000),
    p99Ms: percentile(
      within.map(({ p99Ms }) => p99Ms),
      50,
    ),
    maxMs: Math.max(...within.map(({ maxMs }) => maxMs)),
    errors: sum(({ errors }) => errors),
  }
}

/** The smallest value that so many percent do not exceed; not a number of none. */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil((sorted.length * percent) / 100) - 1)] ?? Number.NaN
}
