import { expect, test } from 'vitest'
import { Register, type Seen } from './register.js'

/** Begins a read, lets `during` happen, and ends it with what was seen. */
function read(register: Register, seen: Seen, during: () => void = () => undefined): string | undefined {
  const ticket = register.beginRead()
  during()
  return register.endRead(ticket, seen)
}

function written(count: number): Register {
  const register = new Register('k')
  for (let i = 0; i < count; i++) register.acknowledged(register.begin('put'))
  return register
}

test('a fresh key is absent, an acknowledged write is there', () => {
  expect(read(written(0), 'absent')).toBeUndefined()
  expect(read(written(2), 2)).toBeUndefined()
})

test('a lost or stale write is found', () => {
  expect(read(written(2), 1)).toMatch(/write 1 after write 2: lost or stale/)
  expect(read(written(2), 'absent')).toMatch(/absent, though write 2/)
  expect(read(written(2), 3)).toMatch(/never made/)
})

test('a write in flight may be seen or not, but nobody goes back behind it', () => {
  const register = written(1)
  register.begin('put')
  expect(read(register, 1)).toBeUndefined()
  expect(read(register, 2)).toBeUndefined()
  expect(read(register, 1)).toMatch(/lost or stale/)
})

test('a read that began before the write was acknowledged may still miss it', () => {
  const register = written(1)
  const number = register.begin('put')
  expect(read(register, 1, () => register.acknowledged(number))).toBeUndefined()
  expect(read(register, 1)).toMatch(/lost or stale/)
})

test('after an unknown outcome both are allowed, and what was seen stays', () => {
  const register = written(1)
  register.begin('put')
  register.unknown()
  expect(register.retired).toBe(true)
  expect(() => register.begin('put')).toThrow(TypeError)
  expect(read(register, 1)).toBeUndefined()
  expect(read(register, 2)).toBeUndefined()
  expect(read(register, 1)).toMatch(/lost or stale/)
})

test('a write that was refused must never be seen, before or after the refusal', () => {
  const before = written(1)
  const first = before.begin('put')
  expect(before.refused(first)).toBeUndefined()
  expect(read(before, 2)).toMatch(/reported as not applied/)

  const after = written(1)
  const second = after.begin('put')
  expect(read(after, 2)).toBeUndefined()
  expect(after.refused(second)).toMatch(/then reported as not applied/)
})

test('deletes: absent afterwards, and a value of a delete is nonsense', () => {
  const register = written(1)
  register.acknowledged(register.begin('delete'))
  expect(read(register, 'absent')).toBeUndefined()
  expect(read(register, 1)).toMatch(/lost or stale/)
  expect(read(register, 2)).toMatch(/a value for write 2, a delete/)
})

test('an absent key counts as its earliest delete only', () => {
  const register = written(1)
  register.begin('delete')
  expect(read(register, 'absent')).toBeUndefined()
  // The delete was seen: the value before it is gone for good.
  expect(read(register, 1)).toMatch(/lost or stale/)
})
