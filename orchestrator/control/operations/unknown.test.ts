import { expect, test } from 'vitest'
import { systemClock } from '../../core/clock.js'
import { OperationState } from '../../wire/control.js'
import { FakeMetaKeys } from '../testing/fake-meta-keys.js'
import { Carrier } from './carrier.js'
import { toWire } from './handlers.js'
import { INDEX, Journal, readOperations } from './journal.js'
import type { OperationParts } from './kind.js'
import { Operations, type OperationsDeps } from './operations.js'
import type { Lane } from './record.js'

const signal = new AbortController().signal

/** As a later version has written them: an operation of a kind that this one does not have, and before it one that it has. */
function later(state: string): FakeMetaKeys {
  const store = new FakeMetaKeys()
  const common = { format: 1, paused: false, begunAt: 5, endedAt: 9 }
  const rows = {
    [INDEX]: { format: 1, epoch: 3, ids: ['new', 'old'], debts: [] },
    'operation/new': { ...common, id: 'new', kind: 'compact', state, levels: [{ at: 1 }] },
    'operation/old': {
      ...common,
      id: 'old',
      kind: 'delete-prefix',
      state: 'running',
      prefix: '',
      again: false,
      deleted: 0,
      passed: 0,
    },
  }
  for (const [key, row] of Object.entries(rows))
    store.rows.set(key, { value: Buffer.from(JSON.stringify(row)), version: 4n })
  return store
}

test.each(['done', 'cancelled'])('one that is %s is listed as unknown, and stays as it is', async (state) => {
  const store = later(state)
  const before = store.rows.get('operation/new')
  const journal = new Journal(store)
  expect((await journal.load(signal)).map(({ kind }) => kind)).toEqual(['unknown', 'delete-prefix'])
  expect((await readOperations(store, signal)).map(({ kind }) => kind)).toEqual(['unknown', 'delete-prefix'])
  // What this version knows goes on beside it.
  await journal.update('old', (now) => ({ ...now, state: 'done' }), signal)
  await journal.nextEpoch(0n, signal)
  expect(store.rows.get('operation/new')).toEqual(before)
  await expect(journal.update('new', (now) => ({ ...now, paused: true }), signal)).rejects.toThrow()
  expect(store.rows.get('operation/new')).toEqual(before)
  expect((await new Journal(store).load(signal)).map(({ id }) => id)).toEqual(['new', 'old'])
})

test('people are told its name, and that it has ended', async () => {
  const [record] = await readOperations(later('done'), signal)
  if (record === undefined) throw new Error('it is not listed')
  const { kind, what, state, steps, moves } = toWire({ record, detail: '', progress: undefined })
  expect({ kind, what, state }).toEqual({
    kind: 'unknown',
    what: 'compact: a kind of operation that this version does not know',
    state: OperationState.DONE,
  })
  expect([...steps, ...moves]).toEqual([])
  const deps = { journal: new Journal(later('done')), clock: systemClock } as unknown as OperationsDeps
  const operations = new Operations(deps)
  for (const how of ['pause', 'resume', 'cancel'] as const) {
    await expect(operations.steer('new', how, signal)).rejects.toThrow('operation new has ended')
  }
  await operations.close()
})

test.each(['running', 'cancelling'])(
  'one that is %s keeps everything of its journal from being carried on',
  async (state) => {
    const store = later(state)
    const before = new Map(store.rows)
    const why =
      /operation\/new in meta cannot be read by this version: kind: compact is none that this version knows, and .* not ended/
    for (const lane of ['cluster', 'keys'] satisfies Lane[]) {
      const journal = new Journal(store)
      let carrier: Carrier | undefined
      const stumbled = new Promise((resolve) => {
        const telemetry = { emit: (...said: unknown[]) => resolve(said) }
        const parts = { journal, clock: systemClock, telemetry } as unknown as OperationParts
        carrier = new Carrier(lane, parts, { changed: () => {}, owed: () => {} })
        carrier.ask()
      })
      expect(await stumbled).toEqual(['operation.stumbled', { reason: expect.stringMatching(why) }])
      await carrier?.close()
      await expect(journal.nextEpoch(0n, signal)).rejects.toThrow(why)
    }
    await expect(readOperations(store, signal)).rejects.toThrow(why)
    expect(store.rows).toEqual(before)
  },
)
