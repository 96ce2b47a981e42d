import { expect, test } from 'vitest'
import { CASES, ONE_PUT, PUTS } from './cases.js'
import { CONTENDERS, ETCD, NATS, OURS_1X3, OURS_3X3 } from './contenders.js'
import { judge } from './goals.js'
import type { Figures } from './protocol.js'
import type { Run } from './results.js'
import { figures } from './testing/figures.js'

type Rows = readonly (readonly [contender: string, name: string, figures: Partial<Figures>])[]

function run(rows: Rows): Run {
  const all = new Map<string, Map<string, Figures>>()
  for (const [contender, name, some] of rows) {
    const cases = all.get(contender) ?? new Map<string, Figures>()
    all.set(contender, cases.set(name, figures(some)))
  }
  return all
}

test('a rate must be at least its factor, a latency at most', () => {
  const measured = run([
    [OURS_3X3, ONE_PUT, { p50Ms: 0.7 }],
    [OURS_1X3, ONE_PUT, { p50Ms: 0.7 }],
    [ETCD, ONE_PUT, { p50Ms: 1 }],
    [OURS_3X3, PUTS, { operationsPerSecond: 12_000 }],
    [OURS_1X3, PUTS, { operationsPerSecond: 19_999 }],
    [ETCD, PUTS, { operationsPerSecond: 2000 }],
  ])
  expect(judge([measured]).map(({ goal, met }) => [goal, met])).toEqual([
    ['kvorum 3x3 direct: p50 <= 0.75 x etcd', true],
    ['kvorum 1x3 direct: p50 <= 0.6 x etcd', false],
    ['kvorum 3x3 direct: ops/s >= 6 x etcd', true],
    ['kvorum 1x3 direct: ops/s >= 10 x etcd', false],
  ])
})

test('goals of who was not measured are left out', () => {
  const measured = run([
    [OURS_3X3, PUTS, { operationsPerSecond: 10 }],
    [NATS, PUTS, { operationsPerSecond: 5 }],
  ])
  expect(judge([measured])).toEqual([
    { case: PUTS, goal: 'kvorum 3x3 direct: ops/s >= 2 x nats', measured: 2, met: true },
  ])
  expect(judge([])).toEqual([])
})

test('when everybody is measured every goal is judged', () => {
  const rows = CONTENDERS.flatMap(({ name }) => CASES.map((one) => [name, one.name, { p50Ms: 1 }] as const))
  expect(judge([run(rows)])).toHaveLength(25)
})
