import fc from 'fast-check'
import { expect, test } from 'vitest'
import { INT64 } from './int64.js'

const MAX = 2n ** 63n - 1n

test.each([0n, 1n, -1n, 10n ** 18n, MAX, -MAX - 1n, MAX - 7n])('%s is one', (value) => {
  expect(INT64.test(String(value))).toBe(true)
})

test.each(['', '-0', '00', '01', '+1', '1.0', '1e3', ' 1', '1\n', `${MAX + 1n}`, `${-MAX - 2n}`, '9'.repeat(30)])(
  '%j is none',
  (text) => {
    expect(INT64.test(text)).toBe(false)
  },
)

test('whatever has 1 to 20 digits is one exactly if int64 holds it', () => {
  const near = fc.bigInt({ min: MAX - 10n ** 6n, max: MAX + 10n ** 6n })
  fc.assert(
    fc.property(fc.oneof(near, fc.bigInt({ min: -(10n ** 20n), max: 10n ** 20n })), (value) => {
      expect(INT64.test(String(value))).toBe(BigInt.asIntN(64, value) === value)
      expect(INT64.test(String(-value))).toBe(BigInt.asIntN(64, -value) === -value)
    }),
  )
})
