import { expect, test } from 'vitest'
import { faultIn, plain, shown } from './words.js'

test('a key is shown whole up to 64 characters, whatever they are made of', () => {
  expect(shown('a "b"')).toBe('"a \\"b\\""')
  expect(shown('k'.repeat(64))).toBe(`"${'k'.repeat(64)}"`)
  expect(shown('k'.repeat(65))).toBe(`"${'k'.repeat(64)}"...`)
  expect(shown('😀'.repeat(65))).toBe(`"${'😀'.repeat(64)}"...`)
})

test('what is stored stays in its line, and a terminal has nothing to obey', () => {
  expect(plain(Buffer.from('värde "x" 😀'))).toBe('värde "x" 😀')
  expect(plain(Buffer.from([0xff, 1]))).toBe('0xff01')
  expect(plain(Buffer.from('a\nb\u001b[2J'))).toBe('"a\\nb\\u001b[2J"')
  expect(plain(Buffer.from('\u009b2J\u007f\u2028'))).toBe('"\\u009b2J\\u007f\\u2028"')
})

test('what was not UTF-8 is found, and all else is not', () => {
  expect(faultIn(['put', 'värde', '😀', ''])).toBeUndefined()
  expect(faultIn(['get', Buffer.from([0x6b, 0xff]).toString()])).toBe(
    'the argument "k\ufffd" is not UTF-8 (or holds U+FFFD, which stands for that): nothing was done',
  )
})
