import fc from 'fast-check'
import { expect, test } from 'vitest'
import { SESSION_WINDOW } from '../core/operation.js'
import { Session } from './session.js'

test('the floor is the lowest number that is waited for, in whatever order answers come', () => {
  fc.assert(
    fc.property(fc.array(fc.nat()), (choices) => {
      const session = new Session(new Uint8Array(16), 1)
      const open = new Set<number>()
      for (const choice of choices) {
        if (choice % 2 === 0) open.add(session.take())
        const answered = [...open][choice % Math.max(1, open.size)]
        if (choice % 3 === 0 && answered !== undefined) {
          open.delete(answered)
          session.answered(answered)
        }
        const lowest = Math.min(...open)
        if (open.size > 0) expect(session.floor).toBe(lowest)
      }
      for (const number of open) session.answered(number)
      expect(session.floor).toBe(session.take())
    }),
  )
})

test('numbers end a window above the floor', () => {
  const session = new Session(new Uint8Array(16), 1)
  for (let taken = 0; taken < SESSION_WINDOW; taken++) {
    expect(session.hasRoom).toBe(true)
    session.take()
  }
  expect(session.hasRoom).toBe(false)
  session.answered(2)
  expect(session.hasRoom).toBe(false)
  session.answered(1)
  expect(session.hasRoom).toBe(true)
  expect(session.floor).toBe(3)
})
