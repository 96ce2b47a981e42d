import { expect, test } from 'vitest'
import { CODES, type Code, kvError, OUTCOMES, type Outcome } from '../errors/index.js'
import { HTTP_CODES, HttpRefusal, headersOf, problemOf, STATUS } from './problem.js'
import { ProblemAnswer } from './schemas.js'

test.each([
  ['INVALID_ARGUMENT', 400],
  ['TOO_LARGE', 413],
  ['NOT_LEADER', 503],
  ['WRONG_SHARD', 503],
  ['MOVING', 503],
  ['OVERLOADED', 429],
  ['DEADLINE_EXCEEDED', 408],
  ['UNAVAILABLE', 503],
  ['PRECONDITION_FAILED', 409],
  ['NOT_A_NUMBER', 409],
  ['OVERFLOW', 409],
  ['CROSS_SHARD', 400],
  ['CORRUPT', 500],
  ['WRONG_PEER', 502],
  ['UNSUPPORTED', 501],
  ['CANCELLED', 503],
  ['INTERNAL', 500],
  ['SESSION_EXPIRED', 500],
] as const)('%s is %d', (code, status) => {
  const error = kvError(code, 'what happened', { outcome: 'unknown' })
  expect(problemOf(error, true)).toMatchObject({ status, code, outcome: 'unknown', detail: 'what happened' })
})

test('every code of errors.proto with every outcome is a problem as the document has it, and says what to do', () => {
  expect(Object.keys(STATUS).sort()).toEqual(Object.keys(CODES).sort())
  for (const code of Object.keys(CODES) as Code[]) {
    for (const outcome of Object.keys(OUTCOMES) as Outcome[]) {
      const error = kvError(code, 'm', { outcome, retryAfterMs: 7, shard: 2, version: 9n })
      const problem = problemOf(error, true)
      expect(ProblemAnswer.parse(problem)).toEqual(problem)
      expect(problem).toMatchObject({ outcome, retryable: CODES[code].retryable, shard: 2, version: '9' })
      // Nobody is told to repeat what may have been applied.
      if (outcome !== 'not-applied') expect(problem.advice).not.toMatch(/send it again(?!\.$)|Nothing/)
      else expect(problem.advice).toMatch(/^Nothing was changed/)
    }
  }
})

test('every code of HTTP itself is one, too', () => {
  for (const code of HTTP_CODES) {
    const problem = problemOf(new HttpRefusal(400, code, 'm'), true)
    expect(ProblemAnswer.parse(problem)).toEqual(problem)
    expect(problem.outcome).toBe('not-applied')
  }
})

test('what nobody foresaw leaves a write unknown', () => {
  expect(problemOf(new Error('oops'), true)).toMatchObject({ status: 500, code: 'INTERNAL', outcome: 'unknown' })
  expect(problemOf(new Error('oops'), false)).toMatchObject({ status: 500, outcome: 'not-applied' })
})

test.each([
  ['OVERLOADED', undefined, '1'],
  ['OVERLOADED', 1, '1'],
  ['OVERLOADED', 1000, '1'],
  ['OVERLOADED', 1001, '2'],
  ['UNAVAILABLE', 3000, '3'],
  ['UNAVAILABLE', undefined, undefined],
] as const)('%s after %s ms: Retry-After %s', (code, retryAfterMs, expected) => {
  const error = kvError(code, 'm', { outcome: 'not-applied', ...(retryAfterMs === undefined ? {} : { retryAfterMs }) })
  expect(headersOf(error, problemOf(error, true))['Retry-After']).toBe(expected)
})
