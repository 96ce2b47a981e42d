import { expect, test } from 'vitest'
import { systemRng } from '../core/rng.js'
import { type OnceReport, runOnce } from './testing/once-sim.js'

const SEEDS = Array.from({ length: 100 }, (_, at) => at + 1)
/** Another one each time: in the long run the tests see more than the same hundred runs. */
const FRESH_SEED = Number(process.env.KVORUM_SEED ?? Math.floor(systemRng.float() * 2 ** 32))

async function runOf(seed: number): Promise<OnceReport> {
  return runOnce(seed).catch((cause: unknown) => {
    throw new Error(`the run of seed ${seed} broke off`, { cause })
  })
}

/** Four seconds of work, on a machine that may be busy with all other tests. */
const TIMEOUT_MS = 120_000

test('whatever goes wrong, a write is applied once at most, never if it is said not to be, and gets its own answer', {
  timeout: TIMEOUT_MS,
}, async () => {
  const told = new Map<string, number>()
  let sessions = 0
  let repeats = 0
  for (const seed of SEEDS) {
    const report = await runOf(seed)
    expect(report.faults, `seed ${seed}`).toEqual([])
    for (const [said, times] of report.told) told.set(said, (told.get(said) ?? 0) + times)
    sessions += report.sessions
    repeats += report.repeats
  }
  // The runs would prove nothing if they went too well, or too badly.
  expect(Object.fromEntries(told)).toMatchObject({
    ok: expect.toSatisfy((times: number) => times > SEEDS.length * 50),
    'PRECONDITION_FAILED/not-applied': expect.any(Number),
    'SESSION_EXPIRED/unknown': expect.any(Number),
    'TOO_LARGE/not-applied': expect.any(Number),
    'TOO_LARGE/unknown': expect.any(Number),
    'DEADLINE_EXCEEDED/not-applied': expect.any(Number),
    'DEADLINE_EXCEEDED/unknown': expect.any(Number),
    'CANCELLED/not-applied': expect.any(Number),
    'CANCELLED/unknown': expect.any(Number),
  })
  expect(sessions).toBeGreaterThan(SEEDS.length * 2)
  expect(repeats).toBeGreaterThan(SEEDS.length * 5)
})

test(`so it is with a seed that nobody chose (KVORUM_SEED=${FRESH_SEED} repeats it)`, async () => {
  expect((await runOf(FRESH_SEED)).faults).toEqual([])
})

test('the same seed gives the same run', async () => {
  const [one, two, other] = [await runOf(3), await runOf(3), await runOf(4)]
  expect(two).toEqual(one)
  expect(other).not.toEqual(one)
})
