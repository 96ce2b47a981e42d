import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeText, encodeText } from './text.js'

describe('text', () => {
  test('comes back as it was: NUL, byte order mark, any plane, nothing at all', () => {
    for (const text of ['', '\0', 'a\0b', '\ufeffbom', '\ufffd', '\u{1f600}', 'e\u0301']) {
      expect(decodeText(encodeText(text, 'key'))).toBe(text)
    }
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(decodeText(encodeText(text, 'key'))).toBe(text)
      }),
    )
  })

  test.each(['\ud800', 'a\udfffb', '\ude00\ud83d'])('a lone surrogate is a TypeError: %j', (text) => {
    expect(() => encodeText(text, 'value')).toThrow(TypeError)
    expect(() => encodeText(text, 'value')).toThrow(/value holds a lone surrogate/)
  })

  test.each([undefined, null, 1, {}, Symbol('s')])('what is no string is a TypeError: %s', (thing) => {
    expect(() => encodeText(thing, 'key')).toThrow(TypeError)
  })

  test('bytes that are no UTF-8 have no text', () => {
    expect(decodeText(Uint8Array.of(0xff))).toBeUndefined()
    expect(decodeText(Uint8Array.of(0xed, 0xa0, 0x80))).toBeUndefined()
  })
})
