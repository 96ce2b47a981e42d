import { expect, test } from 'vitest'
import { ManualClock } from '../core/testing/manual-clock.js'
import { type Reader, Readers } from './readers.js'

function setUp() {
  const clock = new ManualClock()
  const readers = new Readers(clock)
  const cut: string[] = []
  const reader = (name: string): Reader => {
    const one = { cut: () => cut.push(name), relent: () => {} }
    readers.join(one)
    return one
  }
  return { clock, readers, cut, reader }
}

test('whoever takes no answer for 10 s is cut, whoever takes some is not', () => {
  const { clock, readers, cut, reader } = setUp()
  const [stuck, slow, quiet] = [reader('stuck'), reader('slow'), reader('quiet')]
  readers.wrote(quiet)
  readers.took(quiet)
  readers.wrote(stuck)
  for (let i = 0; i < 3; i++) readers.wrote(slow)
  clock.advance(6000)
  readers.took(slow)
  clock.advance(4000)
  expect(cut).toEqual(['stuck'])
  readers.leave(stuck)
  clock.advance(5000)
  expect(cut).toEqual(['stuck'])
  clock.advance(1000)
  expect(cut).toEqual(['stuck', 'slow'])
})

test('when somebody finds no room, whoever has taken nothing for 1 s is cut', () => {
  const { clock, readers, cut, reader } = setUp()
  const [stuck, slow] = [reader('stuck'), reader('slow')]
  readers.wrote(stuck)
  clock.advance(600)
  readers.wrote(slow)
  readers.shed()
  expect(cut).toEqual([])
  clock.advance(400)
  readers.shed()
  expect(cut).toEqual(['stuck'])
})

test('no timer is left when all have gone', () => {
  const { clock, readers, reader } = setUp()
  const one = reader('one')
  expect(clock.pending).toBe(1)
  readers.leave(one)
  expect(clock.pending).toBe(0)
})
