import fc from 'fast-check'
import { expect, test } from 'vitest'
import { behindCursor, cursorAt, isEmptyRange, keyBehind, type Range, rangeOf } from './range.js'

// Few different bytes, so that prefixes and bounds meet.
const bytes = fc
  .array(fc.constantFrom(0, 1, 0x61, 0xfe, 0xff), { maxLength: 4 })
  .map((list) => Buffer.from(list) as Uint8Array)
const key = bytes.filter(({ length }) => length > 0)

const isIn = ({ from, to }: Range, one: Uint8Array): boolean =>
  Buffer.compare(one, from) >= 0 && (to.length === 0 || Buffer.compare(one, to) < 0)

test('a range is the keys that begin so and are between the bounds', () => {
  fc.assert(
    fc.property(bytes, bytes, bytes, key, (prefix, from, to, one) => {
      const before = Buffer.from(prefix)
      const begins = Buffer.from(one.subarray(0, prefix.length)).equals(prefix)
      const range = rangeOf(prefix, from, to)
      expect(isIn(range, one)).toBe(begins && isIn({ from, to }, one))
      if (isEmptyRange(range)) expect(isIn(range, one)).toBe(false)
      expect(before.equals(prefix)).toBe(true)
    }),
    { numRuns: 2000 },
  )
})

test('behind a cursor is what is behind its key in its direction', () => {
  fc.assert(
    fc.property(bytes, bytes, key, key, fc.boolean(), (from, to, last, one, reverse) => {
      const rest = behindCursor({ from, to }, reverse, cursorAt(last, reverse))
      const order = Buffer.compare(one, last)
      expect(isIn(rest, one)).toBe(isIn({ from, to }, one) && (reverse ? order < 0 : order > 0))
    }),
    { numRuns: 2000 },
  )
})

test('a cursor has a direction', () => {
  const all = rangeOf(new Uint8Array(), new Uint8Array(), new Uint8Array())
  expect(() => behindCursor(all, true, cursorAt(keyBehind(Buffer.from('a')), false))).toThrow(TypeError)
  expect(() => behindCursor(all, false, new Uint8Array())).toThrow(TypeError)
  expect(() => behindCursor(all, false, Buffer.from('x1'))).toThrow(TypeError)
})
