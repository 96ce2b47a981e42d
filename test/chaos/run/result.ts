import type { Shape } from '../faults/fault.js'
import type { Injected } from '../faults/inject.js'
import type { Gap } from '../service/gaps.js'
import type { Bucket } from '../service/timeline.js'

/** What must never be. */
export interface Violation {
  readonly kind:
    | 'not linearizable'
    | 'not exactly once'
    | 'not for its time'
    | 'not true'
    | 'not atomic'
    | 'too stale'
    | 'not watched'
    | 'not as its lease'
    | 'does not come back'
    | 'could not be healed'
    | 'could not be read'
  readonly what: string
}

export interface RoundResult {
  readonly round: number
  readonly violations: readonly Violation[]
  readonly faults: readonly Injected[]
  readonly skipped: readonly string[]
  readonly gaps: readonly Gap[]
  readonly counts: Counts
  /** From the end of the last fault until everything served again. */
  readonly backMs: number
}

export interface Counts {
  readonly operations: number
  readonly reads: number
  readonly acknowledged: number
  readonly refused: number
  readonly unknown: number
  readonly keys: number
  readonly undecided: number
}

export const NO_COUNTS: Counts = {
  operations: 0,
  reads: 0,
  acknowledged: 0,
  refused: 0,
  unknown: 0,
  keys: 0,
  undecided: 0,
}

export function sumOf(a: Counts, b: Counts): Counts {
  const names = Object.keys(NO_COUNTS) as (keyof Counts)[]
  return Object.fromEntries(names.map((name) => [name, a[name] + b[name]])) as unknown as Counts
}

export interface RunResult {
  readonly seed: number
  readonly shape: Shape
  readonly kinds: readonly string[]
  readonly versions: Readonly<Record<string, string>>
  readonly seconds: number
  readonly rounds: number
  readonly counts: Counts
  readonly violations: readonly Violation[]
  /** Faults that began and ended, and those that could not begin. */
  readonly faults: number
  readonly skipped: number
  readonly gaps: readonly Gap[]
  readonly backMsMax: number
  readonly timeline: {
    readonly startMs: number
    readonly widthMs: number
    readonly buckets: readonly Bucket[]
    /** The last of them, for the picture. */
    readonly faults: readonly Injected[]
    readonly faultsMax: number
  }
  /** It was told to end early. */
  readonly interrupted: boolean
}
