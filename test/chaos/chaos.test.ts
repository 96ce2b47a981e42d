// Short runs of chaos: three that are always the same, and one that is another each time and says its seed. Their seeds are of
// those that strike often and in many ways within so short a round.
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { processesOf } from '../harness/process.js'
import { KINDS, kindsNamed } from './faults/kinds.js'
import { drawRound, randomOf, readSchedule } from './faults/schedule.js'
import { summaryOf } from './report/summary.js'
import { runChaos } from './run/run.js'
import type { Settings, View } from './run/settings.js'

const KIND_NAMES = KINDS.map(({ name }) => name)
const SHAPE = { shards: 3, replicas: 3 }
const ROUND_MS = 12_000
/** Some kinds last for 8 s: a seed by chance needs room for more than one. */
const ANY_ROUND_MS = 16_000
const ANY_FAULTS_MIN = 3
const RUN_MS_MAX = 120_000
const SEED_MAX = 2 ** 32
const END_MS_MAX = 20_000

let out: string
beforeEach(() => {
  out = mkdtempSync(join(tmpdir(), 'kvorum-chaos-out-'))
})
let keep = false
afterEach(() => {
  if (!keep) rmSync(out, { recursive: true })
})

const view: View = { live: false, say: (text) => console.log(text), state: () => undefined, end: () => undefined }

function settings(seed: number, kinds: Settings['kinds'], roundMs = ROUND_MS): Settings {
  const limits = { roundMs, runMs: RUN_MS_MAX, roundsMax: 1, perKeyMs: 10_000, light: false }
  return { seed, shape: SHAPE, kinds, ...limits, schedule: undefined, out, versions: {} }
}

function anySeed(): number {
  for (;;) {
    const seed = Math.floor(Math.random() * SEED_MAX)
    const drawn = drawRound({ kinds: KINDS, shape: SHAPE, roundMs: ANY_ROUND_MS }, randomOf(seed, 1))
    if (drawn.length >= ANY_FAULTS_MIN) return seed
  }
}

test.each([
  ['processes', 3545, kindsNamed(['process']), ROUND_MS],
  ['everything', anySeed(), KINDS, ANY_ROUND_MS],
  ['answers', 5044, kindsNamed(['swallow', 'loss']), ROUND_MS],
  ['disks', 3311, kindsNamed(['disk']), ROUND_MS],
])('%s break, and every answer is right: seed %i', { timeout: RUN_MS_MAX }, async (_, seed, kinds, roundMs) => {
  const result = await runChaos(settings(seed, kinds, roundMs), view, new AbortController().signal)
  console.log(summaryOf(result).text)
  keep = result.violations.length + result.counts.undecided > 0
  expect(result.violations, `all of it is in ${out}`).toEqual([])
  // A key takes milliseconds (check/essential.go): one that is not decided is a fault of the traffic or of the search.
  expect(result.counts.undecided).toBe(0)
  // Else nothing was tested.
  expect(result.faults).toBeGreaterThanOrEqual(2)
  expect(result.counts.acknowledged).toBeGreaterThan(50)
  expect(readSchedule(readFileSync(join(out, 'schedule.json'), 'utf8'), KIND_NAMES).rounds).toHaveLength(1)
  expect(existsSync(join(out, 'round-1'))).toBe(false)
})

test('an interrupted run ends soon, and leaves no process', async () => {
  const over = new AbortController()
  let interruptedAt = 0
  const say = (text: string): void => {
    if (!/kill|SIGSTOP/.test(text)) return
    interruptedAt = performance.now()
    over.abort(new Error('interrupted'))
  }
  // The folder of the nodes' data is in `out` here, so that they are told from those of other runs on the machine.
  const before = process.env.TMPDIR
  process.env.TMPDIR = out
  try {
    const result = await runChaos(settings(1, kindsNamed(['kill', 'pause'])), { ...view, say }, over.signal)
    expect(result).toMatchObject({ interrupted: true, violations: [] })
    expect(performance.now() - interruptedAt).toBeLessThan(END_MS_MAX)
    expect(processesOf(out)).toEqual([])
  } finally {
    if (before === undefined) delete process.env.TMPDIR
    else process.env.TMPDIR = before
  }
})
