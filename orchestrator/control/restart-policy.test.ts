import { describe, expect, test } from 'vitest'
import { DELAY_MS_MAX, decide, describeExit, STABLE_MS } from './restart-policy.js'

describe('decide', () => {
  test.each([
    [0, 'restart'],
    [64, 'hold'],
    [65, 'hold'],
    [69, 'move'],
    [70, 'restart'],
    [73, 'restart'],
    [74, 'restart'],
    [75, 'restart'],
    [76, 'hold'],
    [2, 'restart'],
    [undefined, 'restart'],
  ] as const)('exit code %s: %s', (code, action) => {
    expect(decide({ code }, 0, 0).action).toBe(action)
  })

  test.each([
    [0, 0, 100],
    [0, 1, 200],
    [0, 3, 800],
    [STABLE_MS - 1, 3, 800],
    [STABLE_MS, 3, 100],
    [0, 7, DELAY_MS_MAX],
    [0, 5000, DELAY_MS_MAX],
  ])('ran %i ms, failed %i times before: again in %i ms', (ranMs, failures, delayMs) => {
    expect(decide({ signal: 'SIGKILL' }, ranMs, failures)).toEqual({ action: 'restart', delayMs })
  })

  test('what is held says what to do', () => {
    for (const code of [64, 65, 76]) {
      const decision = decide({ code }, 0, 0)
      expect(decision.action === 'hold' && decision.advice.length).toBeGreaterThan(20)
    }
  })
})

describe('describeExit', () => {
  test.each([
    [{ signal: 'SIGKILL' }, 'killed by SIGKILL'],
    [{}, 'gone'],
    [{ lastWords: 'no space left' }, 'gone: no space left'],
    [{ code: 0 }, 'exit code 0 (stopped by somebody)'],
    [{ code: 74, lastWords: 'no space left' }, 'exit code 74 (writing to disk failed): no space left'],
    [{ code: 3 }, 'exit code 3 (for an unknown reason)'],
  ])('%j', (exit, words) => {
    expect(describeExit(exit)).toBe(words)
  })
})
