// What we want to reach, as data, and whether a set of runs reaches it.
import { GETS, MIXED, ONE_PUT, PUTS } from './cases.js'
import {
  COMPAT_3X3,
  ETCD,
  GATEWAY_1X3,
  GATEWAY_3X3,
  NATS,
  OURS_1X3,
  OURS_3X3,
  REDIS,
  REDIS_WAIT,
  REDIS_WAIT_ONE,
} from './contenders.js'
import { type Measure, medianRatio, type Ratio, type Run } from './results.js'

interface Goal extends Ratio {
  readonly factor: number
}

const AT_MOST: Readonly<Record<Measure, boolean>> = { p50Ms: true, operationsPerSecond: false }

/** ours `of` at least (a rate) or at most (a latency) `factor` times `by`. */
const GOALS: readonly Goal[] = [
  p50(OURS_3X3, 0.75, ETCD),
  p50(OURS_1X3, 0.6, ETCD),
  rate(PUTS, OURS_3X3, 6, ETCD),
  rate(PUTS, OURS_3X3, 2, NATS),
  rate(PUTS, OURS_3X3, 1.1, REDIS_WAIT),
  rate(PUTS, OURS_3X3, 1.1, REDIS_WAIT_ONE),
  rate(PUTS, OURS_1X3, 10, ETCD),
  rate(PUTS, OURS_1X3, 1.2, REDIS),
  rate(GETS, OURS_3X3, 15, ETCD),
  rate(GETS, OURS_3X3, 1, REDIS),
  rate(GETS, OURS_1X3, 25, ETCD),
  rate(GETS, OURS_1X3, 1.3, REDIS),
  rate(MIXED, OURS_3X3, 12, ETCD),
  rate(MIXED, OURS_3X3, 1.5, REDIS_WAIT),
  rate(MIXED, OURS_3X3, 1.5, REDIS_WAIT_ONE),
  rate(MIXED, OURS_1X3, 20, ETCD),
  rate(MIXED, OURS_1X3, 1, REDIS),
  ...[PUTS, GETS, MIXED].flatMap((name) => [
    rate(name, GATEWAY_3X3, 0.6, OURS_3X3),
    rate(name, GATEWAY_1X3, 0.6, OURS_1X3),
  ]),
  rate(PUTS, COMPAT_3X3, 1, ETCD),
  rate(GETS, COMPAT_3X3, 1, ETCD),
]

function p50(of: string, factor: number, by: string): Goal {
  return { case: ONE_PUT, measure: 'p50Ms', of, factor, by }
}

function rate(name: string, of: string, factor: number, by: string): Goal {
  return { case: name, measure: 'operationsPerSecond', of, factor, by }
}

export interface Judged {
  readonly case: string
  /** The goal in words. */
  readonly goal: string
  readonly measured: number
  readonly met: boolean
}

/** The goals that can be judged; those of a contender or case that was not measured are left out. */
export function judge(runs: readonly Run[], goals: readonly Goal[] = GOALS): Judged[] {
  return goals.flatMap((goal) => {
    const measured = medianRatio(runs, goal)
    if (measured === undefined) return []
    const atMost = AT_MOST[goal.measure]
    const met = atMost ? measured <= goal.factor : measured >= goal.factor
    const what = goal.measure === 'p50Ms' ? 'p50' : 'ops/s'
    const words = `${goal.of}: ${what} ${atMost ? '<=' : '>='} ${goal.factor} x ${goal.by}`
    return [{ case: goal.case, goal: words, measured, met }]
  })
}
