import { describe, expect, test } from 'vitest'
import { systemRng } from '../core/rng.js'
import { OUTAGES, type Outage, runOutage } from './testing/world/outage.js'
import { attemptsMax, runWorld, type WorldReport } from './testing/world/world.js'

/** Of each run; the bound of this test is a number of steps, not a time. */
const STEPS = 400
const ROUNDS = 10
const SEEDS_PER_ROUND = 10
/** The machine may be busy with all other tests. */
const TIMEOUT_MS = 120_000
/** Others each time: in the long run the tests see more than the same hundred runs. */
const FRESH_SEED = Number(process.env.KVORUM_SEED ?? Math.floor(systemRng.float() * 2 ** 32))

const reports: WorldReport[] = []

async function runOf(seed: number): Promise<WorldReport> {
  const report = await runWorld(seed, STEPS).catch((cause: unknown) => {
    throw new Error(`the run of seed ${seed} broke off`, { cause })
  })
  expect(report.faults, `seed ${seed}`).toEqual([])
  return report
}

describe('whatever goes wrong, what callers are told is true', () => {
  const rounds = Array.from({ length: ROUNDS }, (_, round) => 1 + round * SEEDS_PER_ROUND)

  test.each(rounds)(`seeds from %i on`, { timeout: TIMEOUT_MS }, async (first) => {
    for (let seed = first; seed < first + SEEDS_PER_ROUND; seed++) reports.push(await runOf(seed))
  })

  test(`so it is with seeds that nobody chose (KVORUM_SEED=${FRESH_SEED} repeats them)`, {
    timeout: TIMEOUT_MS,
  }, async () => {
    for (let at = 0; at < SEEDS_PER_ROUND; at++) reports.push(await runOf(FRESH_SEED + at))
  })

  test('the runs went neither too well nor too badly to prove anything', ({ skip }) => {
    const runs = ROUNDS * SEEDS_PER_ROUND
    if (reports.length < runs) skip()
    const told = new Map<string, number>()
    for (const report of reports) for (const [said, times] of report.told) told.set(said, (told.get(said) ?? 0) + times)
    for (const kind of ['get', 'put', 'append', 'delete', 'increment'])
      expect(told.get(`${kind} ok`), kind).toBeGreaterThan(10 * runs)
    // Others write the same keys: most find another value than the one that they have read.
    expect(told.get('compare-and-set ok')).toBeGreaterThan(runs)
    for (const said of [
      'put PRECONDITION_FAILED/not-applied',
      'delete PRECONDITION_FAILED/not-applied',
      'compare-and-set PRECONDITION_FAILED/not-applied',
      'increment DEADLINE_EXCEEDED/unknown',
      'get DEADLINE_EXCEEDED/not-applied',
      'append DEADLINE_EXCEEDED/not-applied',
      'append DEADLINE_EXCEEDED/unknown',
      'append CANCELLED/not-applied',
      'append CANCELLED/unknown',
      'append SESSION_EXPIRED/unknown',
      'append OVERLOADED/not-applied',
      'append TOO_LARGE/not-applied',
      'append INTERNAL/applied',
    ]) {
      expect(told.get(said), said).toBeGreaterThan(0)
    }
    expect(reports.reduce((sum, { repeats }) => sum + repeats, 0)).toBeGreaterThan(runs)
    expect(reports.reduce((sum, { epoch }) => sum + epoch, 0n)).toBeGreaterThan(2 * runs)
  })
})

test('the same seed gives the same run', { timeout: TIMEOUT_MS }, async () => {
  const [one, two, other] = [await runOf(3), await runOf(3), await runOf(4)]
  expect(two).toEqual(one)
  expect(other).not.toEqual(one)
})

describe('a total outage is not made worse by those who wait for its end', () => {
  test.each(Object.keys(OUTAGES) as Outage[])('%s', { timeout: TIMEOUT_MS }, async (outage) => {
    const effort = await runOutage(outage)
    const { calls, peers, seconds, copies, copiesMax, messages, connects } = effort
    const shown = JSON.stringify(effort)
    expect(copiesMax, shown).toBeLessThanOrEqual(attemptsMax(1000 * seconds))
    // After the first six waits one takes 37 ms on the average.
    expect(copies, shown).toBeLessThanOrEqual(calls * (6 + (1000 * seconds) / 37))
    // The rounds of a search, 12 ms apart at least, and a message of each kind between any two of them.
    expect(messages, shown).toBeLessThanOrEqual((3 * peers * 1000 * seconds) / 12)
    // Backoff up to 100 ms, at least half of it: after the first few, 20 a second at most.
    expect(connects, shown).toBeLessThanOrEqual(peers * (10 + 20 * seconds))
  })
})
