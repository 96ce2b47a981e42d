import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { PARTITIONS, partitionOf, SLOTS, slotOf } from './slot.js'

const GOLDEN = new URL('../../test/golden/slots.json', import.meta.url)

describe('slotOf', () => {
  // The Go node reads the same file.
  const golden = JSON.parse(readFileSync(GOLDEN, 'utf8')) as { key: string; slot: number }[]
  test.each(golden)('agrees with the golden file on slot $slot', ({ key, slot }) => {
    expect(slotOf(Buffer.from(key))).toBe(slot)
  })

  // The first is the check value of CRC16/XMODEM; all agree with CLUSTER KEYSLOT.
  test.each([
    ['123456789', 0x31c3],
    ['foo', 12_182],
    ['bar', 5061],
    ['{user1000}.following', 3443],
    ['{user1000}.followers', 3443],
    ['', 0],
  ])('%j is in slot %i', (key, slot) => {
    expect(slotOf(Buffer.from(key))).toBe(slot)
  })

  test('only the first braces with something in them make a hash tag', () => {
    const slot = (key: string) => slotOf(Buffer.from(key))
    expect(slot('a{tag}b')).toBe(slot('tag'))
    expect(slot('{tag}{other}')).toBe(slot('tag'))
    expect(slot('{}x')).not.toBe(slot('x'))
    expect(slot('{{tag}}')).toBe(slot('{tag'))
    expect(slot('no}brace{tag}')).toBe(slot('tag'))
    expect(slot('open{only')).not.toBe(slot('only'))
  })

  test('is always a slot, and its partition a partition', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (key) => {
        const slot = slotOf(key)
        expect(slot).toBeGreaterThanOrEqual(0)
        expect(slot).toBeLessThan(SLOTS)
        expect(partitionOf(key)).toBe(Math.floor(slot / 16))
        expect(partitionOf(key)).toBeLessThan(PARTITIONS)
      }),
    )
  })

  test('a hash tag decides alone', () => {
    const text = fc.uint8Array({ maxLength: 20 }).map((bytes) => bytes.map((byte) => byte & 0x3f))
    fc.assert(
      fc.property(text, text, text, (before, tag, after) => {
        fc.pre(tag.length > 0)
        const key = Buffer.concat([before, Buffer.from('{'), tag, Buffer.from('}'), after])
        expect(slotOf(key)).toBe(slotOf(tag))
      }),
    )
  })
})
