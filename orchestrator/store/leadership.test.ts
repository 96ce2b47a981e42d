import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Leadership } from './leadership.js'

test('a hint counts only with a newer term', () => {
  const leadership = new Leadership()
  expect(leadership.hinted('a', 3n)).toBe(true)
  expect(leadership.hinted('b', 3n)).toBe(false)
  expect(leadership.hinted('b', 2n)).toBe(false)
  expect(leadership.leader).toBe('a')
  expect(leadership.hinted('b', 4n)).toBe(true)
  expect(leadership.leader).toBe('b')
})

test('the same leader with a newer term is no news', () => {
  const leadership = new Leadership()
  leadership.hinted('a', 1n)
  expect(leadership.hinted('a', 2n)).toBe(false)
  expect(leadership.term).toBe(2n)
})

test('a lost leader does not come back by hints of its old term, but by answering', () => {
  const leadership = new Leadership()
  leadership.hinted('a', 3n)
  expect(leadership.lost('b')).toBe(false)
  expect(leadership.lost('a')).toBe(true)
  expect(leadership.hinted('a', 3n)).toBe(false)
  expect(leadership.leader).toBeUndefined()
  expect(leadership.confirmed('a')).toBe(true)
  expect(leadership.confirmed('b')).toBe(false)
  expect(leadership.leader).toBe('a')
})

test('the term never goes back', () => {
  const event = fc.oneof(
    fc.record({
      kind: fc.constant('hint'),
      node: fc.constantFrom('a', 'b', 'c'),
      term: fc.bigInt({ min: 0n, max: 9n }),
    }),
    fc.record({
      kind: fc.constantFrom('confirm', 'lose'),
      node: fc.constantFrom('a', 'b', 'c'),
      term: fc.constant(0n),
    }),
  )
  fc.assert(
    fc.property(fc.array(event), (events) => {
      const leadership = new Leadership()
      for (const { kind, node, term } of events) {
        const before = leadership.term
        if (kind === 'hint') leadership.hinted(node, term)
        else if (kind === 'confirm') leadership.confirmed(node)
        else leadership.lost(node)
        expect(leadership.term >= before).toBe(true)
      }
    }),
  )
})
