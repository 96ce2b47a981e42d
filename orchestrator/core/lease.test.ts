import { expect, test } from 'vitest'
import { leaseBytes, leaseText } from './lease.js'

test('an id is 32 hexadecimal digits in either case, and told in lower case', () => {
  const id = leaseBytes('00FFabCD'.repeat(4))
  expect(id && leaseText(id)).toBe('00ffabcd'.repeat(4))
})

test.each(['', '0'.repeat(32), 'ab'.repeat(15), 'ab'.repeat(17), 'xy'.repeat(16), ` ${'ab'.repeat(16)}`])(
  '%j is none',
  (text) => {
    expect(leaseBytes(text)).toBeUndefined()
  },
)
