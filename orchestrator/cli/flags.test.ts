import { InvalidArgumentError } from 'commander'
import { describe, expect, test } from 'vitest'
import { hostPort, wholeNumber } from './flags.js'

describe('a whole number', () => {
  test('from one limit to the other', () => {
    for (const text of ['1', '64', ' 7 ']) expect(wholeNumber(1, 64)(text)).toBe(Number(text))
  })

  test.each(['0', '65', '1.5', '', ' ', 'many', '-1', 'Infinity'])('is not %j, and the limits are told', (text) => {
    expect(() => wholeNumber(1, 64)(text)).toThrow(new InvalidArgumentError('a whole number from 1 to 64 is needed'))
  })
})

test('an address is host:port', () => {
  expect(hostPort('localhost:7000')).toBe('localhost:7000')
  expect(() => hostPort('nowhere')).toThrow(InvalidArgumentError)
})
