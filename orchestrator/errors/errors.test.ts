import { describe, expect, test } from 'vitest'
import {
  CODES,
  type Code,
  DeadlineExceededError,
  InternalError,
  KvError,
  kvError,
  OverloadedError,
  toKvError,
} from './index.js'

describe('KvError', () => {
  test.each(Object.keys(CODES) as Code[])('%s has a class of its own, with its name', (code) => {
    const error = kvError(code, 'why', { outcome: 'unknown' })
    expect(error).toBeInstanceOf(KvError)
    expect(error).toBeInstanceOf(Error)
    expect(error.code).toBe(code)
    expect(error.retryable).toBe(CODES[code].retryable)
    const name = `${code.toLowerCase().replace(/(^|_)([a-z])/g, (_, __, letter: string) => letter.toUpperCase())}Error`
    expect(error.name).toBe(name)
    expect(error.constructor.name).toBe(name)
  })

  test('keeps its details and its cause', () => {
    const cause = new Error('deeper')
    const error = new OverloadedError('full', { outcome: 'not-applied', retryAfterMs: 5, shard: 2, node: 'n', cause })
    expect(error).toMatchObject({
      message: 'full',
      outcome: 'not-applied',
      retryAfterMs: 5,
      shard: 2,
      node: 'n',
      cause,
    })
    expect('cause' in new DeadlineExceededError('late', { outcome: 'unknown' })).toBe(false)
  })

  test('what is thrown by others becomes INTERNAL with the outcome that is known', () => {
    const thrown = new RangeError('bug')
    const error = toKvError(thrown, 'unknown')
    expect(error).toBeInstanceOf(InternalError)
    expect(error).toMatchObject({ outcome: 'unknown', cause: thrown })
    expect(toKvError(error, 'not-applied')).toBe(error)
  })
})
