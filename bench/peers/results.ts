// What the runs say together. Whatever is compared was measured in one run, minutes apart at most: a ratio is made within
// each run, and the median of the ratios counts, not the ratio of medians.
import { median } from '../../test/harness/median.js'
import type { Figures } from './protocol.js'

/** One run: contender -> case -> figures. Who was skipped or failed is not in it. */
export type Run = ReadonlyMap<string, ReadonlyMap<string, Figures>>

export type Measure = 'operationsPerSecond' | 'p50Ms'

/** Each figure's median over the runs; undefined when there is no run with it. */
export function medianFigures(runs: readonly Run[], contender: string, name: string): Figures | undefined {
  const all = runs.flatMap((run) => run.get(contender)?.get(name) ?? [])
  if (all.length === 0) return undefined
  const of = (figure: keyof Figures): number => median(all.map((figures) => figures[figure]))
  return {
    operationsPerSecond: of('operationsPerSecond'),
    p50Ms: of('p50Ms'),
    p99Ms: of('p99Ms'),
    clientCpuUs: of('clientCpuUs'),
    serversCpuUs: of('serversCpuUs'),
    operations: of('operations'),
    errors: of('errors'),
  }
}

export interface Ratio {
  readonly case: string
  readonly measure: Measure
  /** The contender that is divided, and the one that it is divided by. */
  readonly of: string
  readonly by: string
}

/** The median of the runs' ratios; undefined when no run has both. */
export function medianRatio(runs: readonly Run[], ratio: Ratio): number | undefined {
  const all = runs.flatMap((run) => {
    const [of, by] = [ratio.of, ratio.by].map((name) => run.get(name)?.get(ratio.case)?.[ratio.measure])
    return of === undefined || by === undefined ? [] : [of / by]
  })
  return all.length === 0 ? undefined : median(all)
}
