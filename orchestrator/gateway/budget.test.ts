import { expect, test } from 'vitest'
import { Budget } from './budget.js'

test('takes up to its limit and no more', () => {
  const budget = new Budget(10)
  expect(budget.take(6)).toBe(true)
  expect(budget.take(5)).toBe(false)
  expect(budget.take(4)).toBe(true)
  budget.give(6)
  expect(budget.held).toBe(4)
})

test('lets one that is too large in when it is alone', () => {
  const budget = new Budget(10)
  expect(budget.take(50)).toBe(true)
  expect(budget.take(1)).toBe(false)
})

test('a child counts against its parent, and takes nothing when the parent refuses', () => {
  const parent = new Budget(10)
  const [one, two] = [new Budget(8, parent), new Budget(8, parent)]
  expect(one.take(8)).toBe(true)
  expect(two.take(3)).toBe(false)
  expect([parent.held, two.held]).toEqual([8, 0])
  one.give(8)
  expect(two.take(3)).toBe(true)
})

test('closing gives back what is held, once, and takes no more', () => {
  const parent = new Budget(10)
  const child = new Budget(10, parent)
  child.take(7)
  child.close()
  child.give(7)
  expect(parent.held).toBe(0)
  expect(child.take(1)).toBe(false)
})
