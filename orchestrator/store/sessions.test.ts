import { expect, test } from 'vitest'
import { DEFAULT_LIMITS } from '../core/limits.js'
import type { Operation, Result } from '../core/operation.js'
import { systemRng } from '../core/rng.js'
import { ManualClock } from '../core/testing/manual-clock.js'
import { type KvError, UnavailableError } from '../errors/index.js'
import type { Call } from './call.js'
import { Executor } from './executor.js'
import { Sessions } from './sessions.js'
import type { Shard } from './shard.js'

const SHARD = { id: 1, forget: () => {} } as unknown as Shard
const PUT: Operation = { kind: 'put', key: Buffer.from('k'), value: Buffer.from('v') }

/** Writes and openings as they reach the shard; the test answers them. */
function setUp() {
  const sent: Call[] = []
  const opening: Call[] = []
  const told: (KvError | undefined)[] = []
  const executor: Executor = new Executor(
    {
      route: (call) => {
        call.shard = SHARD
        if (call.needsStamp && !sessions.stamp(call, SHARD.id)) return
        call.attempts++
        ;(call.operation.kind === 'open-session' ? opening : sent).push(call)
      },
      learn: () => false,
      forget: (call) => sessions.forget(call),
    },
    {
      limits: { ...DEFAULT_LIMITS, inFlightOperationsMax: 1e6, inFlightBytesMax: 1e9 },
      clock: new ManualClock(),
      rng: systemRng,
    },
  )
  const sessions = new Sessions({ executor, rng: systemRng, deadlineMs: 5000 })
  const put = (times: number): void => {
    for (let i = 0; i < times; i++) executor.submit(PUT, 5000, (error) => told.push(error))
  }
  const opened: Result = { kind: 'open-session', id: new Uint8Array(16) }
  return { sent, opening, told, put, opened: () => opening.shift()?.complete(undefined, opened) }
}

test('opens at once as many sessions as those who wait need', () => {
  const { sent, opening, put, opened } = setUp()
  put(2500)
  expect([sent.length, opening.length]).toEqual([0, 3])
  opened()
  expect(sent).toHaveLength(1024)
  opened()
  opened()
  expect([sent.length, opening.length]).toEqual([2500, 0])
})

test('numbers that become free go to those who wait, before all who come later', () => {
  const { sent, opening, put, opened } = setUp()
  put(1024)
  opened()
  put(2)
  const waits = sent.length
  sent[0]?.complete(undefined, { kind: 'put', version: 1n })
  expect([waits, sent.length, opening.length]).toEqual([1024, 1025, 1])
  put(1)
  sent[1]?.complete(undefined, { kind: 'put', version: 2n })
  expect([sent.length, sent.at(-1)?.stamp?.sequence]).toEqual([1026, 1026])
})

test('an opening that fails is tried again, and those who wait for it wait on', () => {
  const { sent, opening, told, put, opened } = setUp()
  put(1500)
  const late = opening.shift()
  opened()
  expect([sent.length, told.length]).toEqual([1024, 0])
  late?.complete(new UnavailableError('nobody leads', { outcome: 'not-applied' }), undefined)
  expect(told.length + opening.length).toBe(0)
})
