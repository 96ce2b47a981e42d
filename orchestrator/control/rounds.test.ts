import { expect, test } from 'vitest'
import { ManualClock } from '../core/testing/manual-clock.js'
import { Rounds } from './rounds.js'

/** Lets everything that is ready go on. */
const settle = () => new Promise<void>((resolve) => setImmediate(resolve))

function make(work: (signal: AbortSignal) => Promise<void>) {
  const clock = new ManualClock()
  const failures: unknown[] = []
  const rounds = new Rounds({ work, failed: (error) => failures.push(error), pauseMs: 100, clock })
  return { rounds, clock, failures }
}

test('asked many times during a round, it runs once more', async () => {
  let runs = 0
  let release: () => void = () => {}
  const { rounds } = make(async () => {
    runs++
    await new Promise<void>((resolve) => {
      release = resolve
    })
  })
  rounds.ask()
  await settle()
  for (let i = 0; i < 5; i++) rounds.ask()
  expect(runs).toBe(1)
  release()
  await settle()
  expect(runs).toBe(2)
  release()
  await settle()
  expect(runs).toBe(2)
})

test('no question is lost, whenever it is asked', async () => {
  for (let turns = 0; turns < 12; turns++) {
    let runs = 0
    const { rounds } = make(async () => {
      runs++
      await Promise.resolve()
    })
    rounds.ask()
    await Promise.resolve()
    for (let turn = 0; turn < turns; turn++) await Promise.resolve()
    const before = runs
    rounds.ask()
    await settle()
    expect(runs, `asked after ${turns} turns`).toBeGreaterThan(before)
  }
})

test('a round that failed is followed by another after a pause', async () => {
  let runs = 0
  const { rounds, clock, failures } = make(async () => {
    if (++runs === 1) throw new Error('once')
  })
  rounds.ask()
  await settle()
  expect(failures).toEqual([new Error('once')])
  expect(runs).toBe(1)
  clock.advance(100)
  await settle()
  expect(runs).toBe(2)
})

test('closed, it ends its round and begins none', async () => {
  let runs = 0
  const { rounds, clock, failures } = make(async (signal) => {
    runs++
    await new Promise((_, reject) => {
      signal.addEventListener('abort', () => reject(new Error('aborted')), { once: true })
    })
  })
  rounds.ask()
  await settle()
  await rounds.close()
  rounds.ask()
  await settle()
  expect([runs, failures.length, clock.pending]).toEqual([1, 0, 0])
})
