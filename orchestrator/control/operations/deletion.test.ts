import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ManualClock } from '../../core/testing/manual-clock.js'
import { silent } from '../../telemetry/index.js'
import { NotHolder } from '../faults.js'
import { DeletionLives, type Event } from '../testing/deletion-lives.js'
import { FakeKeys } from '../testing/fake-keys.js'
import type { DeletePrefixRecord } from './delete-record.js'
import { Deletion } from './deletion.js'
import type { UnderWay } from './under-way.js'

const PREFIX = 'user:'
const MEANT = Array.from({ length: 12 }, (_, at) => `${PREFIX}${at}`)
const OTHERS = ['user', 'user9', 'user;', 'a', 'z']

const key = fc.constantFrom(...MEANT, ...OTHERS)
const event: fc.Arbitrary<Event> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('put' as const), key }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('remove' as const), key }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('fail' as const, 'pause' as const, 'again' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('freeze' as const) }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('nothing' as const) }) },
)
const setting = fc.record({
  events: fc.array(event, { maxLength: 80 }),
  perPage: fc.integer({ min: 1, max: 8 }),
})

test('what was there and is not written is deleted, nothing else, and nothing once it has ended', async () => {
  const property = fc.asyncProperty(setting, async ({ events, perPage }) => {
    const lives = new DeletionLives(PREFIX)
    const { keys } = lives
    keys.perPage = perPage
    keys.put(...MEANT, ...OTHERS)
    const asked = await lives.play(events)
    for (const promised of asked) {
      for (const [name, version] of promised) expect(keys.rows.get(name), name).not.toBe(version)
    }
    expect(await lives.told()).toBeLessThanOrEqual(keys.deleted)
    const removed = new Set(events.flatMap((one) => (one.kind === 'remove' ? [one.key] : [])))
    for (const name of OTHERS) if (!removed.has(name)) expect(keys.rows.has(name), name).toBe(true)
    keys.put(...MEANT)
    const after = new Map(keys.rows)
    await lives.thawAll()
    expect(keys.rows).toEqual(after)
  })
  await fc.assert(property, { numRuns: 150, timeout: 5_000 })
}, 30_000)

test('who stood still in the middle of a stretch looks first whether it is its own still: it may have been cancelled', async () => {
  const [keys, clock, never] = [new FakeKeys(), new ManualClock(), new AbortController().signal]
  keys.perPage = 600
  keys.put(...Array.from({ length: keys.perPage }, (_, at) => `${PREFIX}${at}`))
  let isDeposed = false
  keys.onDelete = () => {
    if (keys.deleted !== 256) return
    isDeposed = true
    clock.advance(60_000)
  }
  const now = { prefix: Buffer.from(PREFIX).toString('base64'), deleted: 0, passed: 0, total: keys.perPage }
  const underWay = {
    ...{ now, signal: never, recalled: never, either: never, isSteered: false },
    update: async () => {
      if (isDeposed) throw new NotHolder(2)
    },
    unlessRecalled: (wait: (signal: AbortSignal) => Promise<void>) => wait(never),
  } as unknown as UnderWay<DeletePrefixRecord>
  const tools = { clock, telemetry: silent, doing: () => {}, walked: () => {} }
  const run = new Deletion(
    underWay,
    keys.open(async () => {}),
    tools,
  ).run()
  const failed = expect(run).rejects.toBeInstanceOf(NotHolder)
  await expect.poll(() => clock.pending).toBe(1)
  clock.advance(1_000)
  await failed
  expect(keys.deleted).toBe(256)
})
