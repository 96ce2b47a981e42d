import { expect, test } from 'vitest'
import { OverloadedError } from '../errors/index.js'
import { resultToWire } from './convert.js'
import type { Result } from './gen/kvorum/v1/kv.js'
import { ReadSizer } from './read-sizer.js'

const MIB = 1 << 20

function values(count: number, bytes: number): Result[] {
  const value = new Uint8Array(bytes)
  return Array.from({ length: count }, () => resultToWire({ kind: 'get', found: true, value, version: 1n }))
}

test('starts carefully, and learns that values are small by and by', () => {
  const sizer = new ReadSizer(4 * MIB, 4096)
  expect(sizer.operationsPerMessage).toBeLessThanOrEqual(128)
  for (let message = 0; message < 20; message++) sizer.saw(values(10, 256))
  expect(sizer.operationsPerMessage).toBe(4096)
})

test('learns at once that they are large, and leaves room for larger ones', () => {
  const sizer = new ReadSizer(4 * MIB, 4096)
  sizer.saw(values(1, MIB))
  expect(sizer.operationsPerMessage).toBe(1)
})

test('what was refused says nothing about sizes', () => {
  const sizer = new ReadSizer(4 * MIB, 4096)
  const refused = resultToWire(new OverloadedError('the answer is full', { outcome: 'not-applied' }))
  sizer.saw([...values(2, MIB), ...Array<Result>(62).fill(refused)])
  expect(sizer.operationsPerMessage).toBe(1)
  for (let message = 0; message < 20; message++) sizer.saw([refused])
  expect(sizer.operationsPerMessage).toBe(1)
})

test('a part of an answer counts for a part', () => {
  const sizer = new ReadSizer(4 * MIB, 4096)
  sizer.saw(values(10, 64 << 10))
  const before = sizer.operationsPerMessage
  for (let part = 0; part < 20; part++) sizer.saw(values(1, 1), 1000)
  expect(sizer.operationsPerMessage).toBeLessThan(before * 1.1)
})

test('is never less than one', () => {
  const sizer = new ReadSizer(4 * MIB, 4096)
  for (let break_ = 0; break_ < 20; break_++) sizer.broke()
  expect(sizer.operationsPerMessage).toBe(1)
})
