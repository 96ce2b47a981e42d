import { expect, test } from 'vitest'
// @ts-expect-error plain JavaScript: it runs before anything is installed
import { GoTally } from './go-test.mjs'

interface Tally {
  take(line: string): void
  result(code: number): { passed: number; failed: number; reports: string[] }
}

function tally(
  events: readonly (object | string)[],
  code: number,
): { counts: object; reports: string[]; shown: string } {
  const shown: string[] = []
  const counting = new GoTally((line: string) => shown.push(line)) as Tally
  for (const event of events) counting.take(typeof event === 'string' ? event : JSON.stringify(event))
  const { reports, ...counts } = counting.result(code)
  return { counts, reports, shown: shown.join('\n') }
}

const at = { Package: 'kvorum/node/fsm' }

test('tests and subtests count, skipped ones do not, passed ones are quiet', () => {
  const { counts, shown } = tally(
    [
      { Action: 'output', ...at, Test: 'TestA', Output: 'noise\n' },
      { Action: 'pass', ...at, Test: 'TestA/x' },
      { Action: 'pass', ...at, Test: 'TestA' },
      { Action: 'skip', ...at, Test: 'TestB' },
      { Action: 'pass', ...at, Elapsed: 1.25 },
    ],
    0,
  )
  expect(counts).toEqual({ passed: 2, failed: 0 })
  expect(shown).toBe('ok   kvorum/node/fsm 1.3 s')
})

test('a failed test shows its output, and its package is not counted again', () => {
  const { counts, reports, shown } = tally(
    [
      { Action: 'output', ...at, Test: 'TestA', Output: 'got 1, want 2\n' },
      { Action: 'fail', ...at, Test: 'TestA' },
      { Action: 'fail', ...at, Elapsed: 0 },
    ],
    1,
  )
  expect(counts).toEqual({ passed: 0, failed: 1 })
  expect(shown).toContain('got 1, want 2')
  expect(reports).toEqual(['kvorum/node/fsm TestA\ngot 1, want 2\n'])
})

test('a package that does not build, and a run that says nothing, are failures', () => {
  const build = [
    { Action: 'build-output', ImportPath: 'kvorum/node/fsm', Output: 'undefined: x\n' },
    { Action: 'build-fail', ImportPath: 'kvorum/node/fsm' },
    { Action: 'fail', ...at, Elapsed: 0 },
  ]
  expect(tally(build, 1).counts).toEqual({ passed: 0, failed: 1 })
  expect(tally(build, 1).shown).toContain('undefined: x')
  expect(tally(['go: cannot find main module'], 1).counts).toEqual({ passed: 0, failed: 1 })
})
