import { expect, test } from 'vitest'
import { CONTENDERS, ETCD, OURS_3X3, REDIS } from './contenders.js'
import { caseTable, goalTable } from './table.js'
import { figures } from './testing/figures.js'

const RUN = new Map([
  [OURS_3X3, new Map([['puts', figures({ operationsPerSecond: 12_000, p50Ms: 1.234 })]])],
  [REDIS, new Map([['puts', figures({ operationsPerSecond: 6000, errors: 3 })]])],
])

test('a row for each contender that was measured, with ratios to ours and what is weaker', () => {
  const lines = caseTable('puts', CONTENDERS, [RUN]).split('\n')
  expect(lines[0]).toBe('puts')
  const rowOf = (name: string): string => lines.find((line) => line.startsWith(`│ ${name} `)) ?? ''
  expect(rowOf(OURS_3X3)).toMatch(/12,000 .* 1\.23 .* 1\.00 /)
  expect(rowOf(REDIS)).toMatch(/6,000 .* 2\.00 .*3 operations failed; weaker/)
  expect(rowOf(ETCD)).toBe('')
})

test('a goal that is missed is easy to see', () => {
  const text = goalTable([
    { case: 'puts', goal: 'a >= 2 x b', measured: 2.5, met: true },
    { case: 'puts', goal: 'a >= 3 x c', measured: 2.999, met: false },
  ])
  expect(text).toMatch(/a >= 2 x b .* 2\.50 x .* met/)
  expect(text).toMatch(/a >= 3 x c .* 3\.00 x .* MISSED/)
})
