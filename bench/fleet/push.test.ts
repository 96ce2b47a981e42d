import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Rounds } from '../../orchestrator/control/rounds.js'
import { sleep } from '../../orchestrator/core/clock.js'
import { ManualClock } from '../../orchestrator/core/testing/manual-clock.js'
import { mapsForAddresses, reshardMaps, roundsFor } from './push.js'

/** Lets everything that is ready go on. */
const settle = () => new Promise<void>((resolve) => setImmediate(resolve))

/** How many rounds the real Rounds makes of the same. */
async function realRounds(asked: readonly number[], roundMs: number): Promise<number> {
  const clock = new ManualClock()
  let count = 0
  const work = async (signal: AbortSignal) => {
    count++
    await sleep(clock, roundMs, signal)
  }
  const failed = (error: unknown) => expect.fail(String(error))
  const rounds = new Rounds({ work, failed, pauseMs: 1, clock })
  const end = (asked.at(-1) ?? 0) + 3 * roundMs
  for (let ms = 0; ms <= end; ms++) {
    for (const at of asked) if (at === ms) rounds.ask()
    await settle()
    clock.advance(1)
    await settle()
  }
  await rounds.close()
  return count
}

test('counts the rounds that the real Rounds makes', async () => {
  // Tens, and up to nine rounds of tens and one: nothing is asked in the moment in which a round ends.
  const moments = fc.array(fc.integer({ min: 0, max: 20 }), { minLength: 1, maxLength: 9 })
  const cases = fc.record({ moments, tens: fc.integer({ min: 1, max: 5 }) })
  await fc.assert(
    fc.asyncProperty(cases, async ({ moments: drawn, tens }) => {
      const asked = drawn.map((at) => at * 10).sort((a, b) => a - b)
      const roundMs = 10 * tens + 1
      expect(roundsFor(asked, roundMs)).toBe(await realRounds(asked, roundMs))
    }),
    { numRuns: 25 },
  )
})

test('a burst of addresses is one epoch for all that wait, and a map at once for each', () => {
  expect(mapsForAddresses([0, 1, 2, 3])).toBe(4 + 2)
})

test('a reshard is a map for the new shards and one for each move', () => {
  expect(reshardMaps(512, 513)).toEqual({ moves: 1, maps: 2 })
})
