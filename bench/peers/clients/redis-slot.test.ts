import { expect, test } from 'vitest'
import { slotOf } from './redis-slot.js'

test('the check value of CRC-16/XMODEM', () => {
  expect(slotOf('123456789')).toBe(0x31c3)
})

test('slots that the cluster specification and redis-cli give', () => {
  expect(slotOf('foo')).toBe(12_182)
  expect(slotOf('')).toBe(0)
})
