import { expect, test } from 'vitest'
import { type Operation, PREVIOUS_BYTES_MAX, type Result } from '../core/operation.js'
import { ManualClock } from '../core/testing/manual-clock.js'
import { KvError } from '../errors/index.js'
import { Budget } from './budget.js'
import { ReadGate } from './read-gate.js'
import { contextWith } from './testing/context.js'
import { ManualStore } from './testing/manual-store.js'
import { Work } from './work.js'

const PUT: Operation = { kind: 'put', key: Buffer.from('k'), value: Buffer.from('v') }
const EXCHANGE: Operation = { ...PUT, returnPrevious: true }
const DONE: Result = {
  kind: 'put',
  version: 2n,
  previous: { value: Buffer.alloc(PREVIOUS_BYTES_MAX), version: 1n },
}

function setUp(answerBytesMax: number, valueBytesMax: number) {
  const store = new ManualStore()
  const clock = new ManualClock()
  const context = contextWith(store, { batchBytesMax: answerBytesMax }, clock)
  const values = new Budget(valueBytesMax)
  const gate = new ReadGate({ clock, values, firstGuess: 100, crowd: context.crowd, changed: () => {} })
  let done = false
  const listener = { onPart: () => {}, onDone: () => (done = true) }
  const begin = (operations: readonly Operation[]): Work => {
    const work = new Work(context, gate, { id: 1n, epoch: 1n, timeoutMs: 0, operations, stamps: [] }, 0, listener)
    work.begin()
    return work
  }
  return { store, values, begin, isDone: () => done }
}

const codesOf = (results: readonly (Result | KvError)[]): string[] =>
  results.map((result) => (result instanceof KvError ? result.code : 'ok'))

test.each([
  ['its answer has no room', 2, 100],
  ['the gateway has no room', 100, 2],
])('what a write gives back has room before it is passed on: %s', (_, inAnswer, inAll) => {
  const { store, values, begin, isDone } = setUp(inAnswer * PREVIOUS_BYTES_MAX, inAll * PREVIOUS_BYTES_MAX)
  const work = begin([EXCHANGE, EXCHANGE, EXCHANGE, PUT])
  expect(store.waiting).toHaveLength(3)
  for (const { done } of store.waiting.splice(0)) done(undefined, DONE)
  expect(isDone()).toBe(true)
  const { results, valueBytes } = work.take()
  expect(codesOf(results)).toEqual(['ok', 'ok', 'OVERLOADED', 'ok'])
  // It is given back when the answer is written.
  expect([valueBytes, values.held]).toEqual([2 * PREVIOUS_BYTES_MAX, 2 * PREVIOUS_BYTES_MAX])
})
