import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { CODES, type Code, OUTCOMES, type Outcome } from '../errors/index.js'
import { BACKOFF_MS_MAX, decide, type Failure } from './retry.js'

const FAILURE: Failure = {
  code: 'UNAVAILABLE',
  outcome: 'not-applied',
  read: false,
  stamp: 'none',
  exchange: false,
  placed: false,
  inDoubt: false,
  attempt: 1,
  redirected: false,
  redirects: 0,
  retryAfterMs: undefined,
  remainingMs: 5000,
  chance: 0,
}

type Expected = number | 'unsafe' | 'permanent' | 'deadline'

function outcomeOf(failure: Partial<Failure>): Expected {
  const decision = decide({ ...FAILURE, ...failure })
  return decision.action === 'retry' ? decision.delayMs : decision.reason
}

describe('decide', () => {
  // (code, outcome, attempt) -> what a write does, what a read does. A number is the delay in ms before the next attempt.
  test.each<[Code, Outcome, number, Expected, Expected]>([
    ['NOT_LEADER', 'not-applied', 1, 1, 1],
    ['NOT_LEADER', 'not-applied', 2, 2, 2],
    ['NOT_LEADER', 'not-applied', 5, 16, 16],
    ['NOT_LEADER', 'not-applied', 6, 25, 25],
    ['NOT_LEADER', 'not-applied', 600, 25, 25],
    ['UNAVAILABLE', 'not-applied', 1, 1, 1],
    ['UNAVAILABLE', 'unknown', 1, 'unsafe', 1],
    ['UNAVAILABLE', 'applied', 1, 'unsafe', 1],
    ['WRONG_SHARD', 'not-applied', 1, 1, 1],
    ['MOVING', 'not-applied', 3, 5, 5],
    ['MOVING', 'not-applied', 600, 5, 5],
    ['OVERLOADED', 'not-applied', 1, 1, 1],
    ['DEADLINE_EXCEEDED', 'not-applied', 1, 1, 1],
    ['DEADLINE_EXCEEDED', 'unknown', 1, 'unsafe', 1],
    ['INVALID_ARGUMENT', 'not-applied', 1, 'permanent', 'permanent'],
    ['TOO_LARGE', 'not-applied', 1, 'permanent', 'permanent'],
    ['PRECONDITION_FAILED', 'not-applied', 1, 'permanent', 'permanent'],
    ['NOT_A_NUMBER', 'not-applied', 1, 'permanent', 'permanent'],
    ['OVERFLOW', 'not-applied', 1, 'permanent', 'permanent'],
    ['CORRUPT', 'not-applied', 1, 'permanent', 'permanent'],
    ['WRONG_PEER', 'not-applied', 1, 'permanent', 'permanent'],
    ['UNSUPPORTED', 'not-applied', 1, 'permanent', 'permanent'],
    ['CANCELLED', 'not-applied', 1, 'permanent', 'permanent'],
    ['INTERNAL', 'not-applied', 1, 'permanent', 'permanent'],
    ['INTERNAL', 'unknown', 1, 'unsafe', 'permanent'],
  ])('%s, %s, attempt %i: write %s, read %s', (code, outcome, attempt, write, read) => {
    expect(outcomeOf({ code, outcome, attempt, read: false })).toBe(write)
    expect(outcomeOf({ code, outcome, attempt, read: true })).toBe(read)
  })

  test('a write that gives a value back goes back to the client whose number it has: it alone can make room', () => {
    const full = { code: 'OVERLOADED', outcome: 'not-applied', stamp: 'passed' } as const
    expect(outcomeOf({ ...full, exchange: true })).toBe('permanent')
    expect(outcomeOf({ ...full, exchange: true, stamp: 'own' })).toBe(1)
    expect(outcomeOf(full)).toBe(1)
  })

  test('a first redirect is followed at once, the next one waits', () => {
    expect(outcomeOf({ code: 'NOT_LEADER', redirected: true, redirects: 0 })).toBe(0)
    expect(outcomeOf({ code: 'NOT_LEADER', redirected: true, redirects: 1, attempt: 2 })).toBe(2)
    expect(outcomeOf({ code: 'WRONG_SHARD', redirected: true, redirects: 1, attempt: 2 })).toBe(2)
  })

  test('OVERLOADED waits as long as it was told, spread so that not all come back together', () => {
    expect(outcomeOf({ code: 'OVERLOADED', retryAfterMs: 200 })).toBe(200)
    expect(outcomeOf({ code: 'OVERLOADED', retryAfterMs: 200, chance: 0.5 })).toBe(300)
    expect(outcomeOf({ code: 'OVERLOADED', retryAfterMs: 200, remainingMs: 150 })).toBe('deadline')
  })

  test('OVERLOADED again and again waits longer and longer, up to half a second unless more is asked for', () => {
    expect(outcomeOf({ code: 'OVERLOADED', retryAfterMs: 10, attempt: 3 })).toBe(40)
    expect(outcomeOf({ code: 'OVERLOADED', retryAfterMs: 10, attempt: 30, chance: 0.5 })).toBe(750)
    expect(outcomeOf({ code: 'OVERLOADED', retryAfterMs: 900, attempt: 30 })).toBe(900)
  })

  test('nothing is tried again after the deadline', () => {
    expect(outcomeOf({ remainingMs: 1 })).toBe('deadline')
    expect(outcomeOf({ remainingMs: -5 })).toBe('deadline')
    expect(outcomeOf({ redirected: true, remainingMs: 0 })).toBe('deadline')
  })

  const anyFailure: fc.Arbitrary<Failure> = fc.record({
    code: fc.constantFrom(...(Object.keys(CODES) as Code[])),
    outcome: fc.constantFrom(...(Object.keys(OUTCOMES) as Outcome[])),
    read: fc.boolean(),
    stamp: fc.constantFrom('none', 'own', 'passed'),
    exchange: fc.boolean(),
    placed: fc.boolean(),
    inDoubt: fc.boolean(),
    attempt: fc.integer({ min: 1, max: 1000 }),
    redirected: fc.boolean(),
    redirects: fc.integer({ min: 0, max: 3 }),
    retryAfterMs: fc.option(fc.integer({ min: 1, max: 1000 }), { nil: undefined }),
    remainingMs: fc.double({ min: -100, max: 10_000, noNaN: true }),
    chance: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  })

  test.each<[Code, Outcome, Failure['stamp'], boolean, Expected]>([
    // With a number it happens once, however often it is sent.
    ['UNAVAILABLE', 'unknown', 'own', false, 1],
    ['UNAVAILABLE', 'unknown', 'passed', false, 1],
    ['DEADLINE_EXCEEDED', 'unknown', 'own', true, 1],
    ['UNAVAILABLE', 'applied', 'own', false, 'unsafe'],
    ['INTERNAL', 'unknown', 'own', false, 'permanent'],
    // Nobody knows the session: the first attempt did nothing, and what earlier ones did nobody can tell.
    ['SESSION_EXPIRED', 'not-applied', 'own', false, 1],
    ['SESSION_EXPIRED', 'not-applied', 'own', true, 'unsafe'],
    // A gateway tried more than once for us.
    ['SESSION_EXPIRED', 'unknown', 'own', false, 'unsafe'],
    ['SESSION_EXPIRED', 'not-applied', 'passed', false, 'unsafe'],
    ['SESSION_EXPIRED', 'not-applied', 'none', false, 'unsafe'],
    // A client's number is for the shard that it meant.
    ['WRONG_SHARD', 'not-applied', 'passed', false, 'permanent'],
    ['WRONG_SHARD', 'not-applied', 'own', true, 1],
  ])('%s, %s, stamp %s, in doubt %s: %s', (code, outcome, stamp, inDoubt, expected) => {
    expect(outcomeOf({ code, outcome, stamp, inDoubt })).toBe(expected)
  })

  test('a write without a number that may have been applied is never sent again', () => {
    fc.assert(
      fc.property(anyFailure, (failure) => {
        fc.pre(!failure.read && failure.stamp === 'none' && failure.outcome !== 'not-applied')
        expect(decide(failure).action).toBe('fail')
      }),
    )
  })

  test('a retry begins before the deadline and, unless told otherwise, soon', () => {
    fc.assert(
      fc.property(anyFailure, (failure) => {
        const decision = decide(failure)
        if (decision.action === 'fail') return
        expect(decision.delayMs).toBeLessThan(failure.remainingMs)
        expect(decision.delayMs).toBeGreaterThanOrEqual(0)
        if (failure.code !== 'OVERLOADED') expect(decision.delayMs).toBeLessThanOrEqual(BACKOFF_MS_MAX)
        if (failure.redirects > 0) expect(decision.delayMs).toBeGreaterThan(0)
      }),
    )
  })
})
