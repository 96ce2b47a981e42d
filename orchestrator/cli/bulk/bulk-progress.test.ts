import { expect, test } from 'vitest'
import { ManualClock } from '../../core/testing/manual-clock.js'
import { BulkProgress } from './bulk-progress.js'

function progress(columns: number, total: number | undefined, before = { done: 0, rows: 0 }) {
  const [clock, said] = [new ManualClock(), [] as string[]]
  const bar = new BulkProgress({ warn: (text) => said.push(text), columns }, clock, total, before)
  return { clock, said, bar }
}

test('on a terminal a bar with rate and time left, of what this run has done', () => {
  const { clock, said, bar } = progress(100, 4_000, { done: 1_000, rows: 100 })
  clock.advance(2_000)
  bar.show(2_000, 20_100)
  expect(said).toEqual(['\r\u001b[2K[############------------] 50 %  20,100 rows  10,000/s  ETA 4 s'])
  bar.show(2_001, 20_101)
  bar.clear()
  expect(said).toHaveLength(2)
})

test('elsewhere a line now and then', () => {
  const { clock, said, bar } = progress(0, 100)
  for (let second = 1; second <= 12; second++) {
    clock.advance(1_000)
    bar.show(second, second * 1_000)
  }
  expect(said).toEqual(['5 %, 5,000 rows, 1,000/s, ETA 1 min 35 s\n', '10 %, 10,000 rows, 1,000/s, ETA 1 min 30 s\n'])
})

test('without an end that is known there is no share of it', () => {
  const { clock, said, bar } = progress(0, undefined)
  clock.advance(5_000)
  bar.show(123, 500)
  expect(said).toEqual(['500 rows, 100/s\n'])
})
