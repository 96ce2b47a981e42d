import { describe, expect, test } from 'vitest'
import type { Limits } from '../core/limits.js'
import type { Operation, Result } from '../core/operation.js'
import { KvError, UnavailableError } from '../errors/index.js'
import type { BatchListener } from '../wire/batch-stream.js'
import { type BatchPort, BatchSession } from './batch.js'
import { contextWith } from './testing/context.js'
import { ManualStore } from './testing/manual-store.js'

/** The client's end of a stream: what it got, and whether it is read from. */
class FakeStream implements BatchPort {
  listener: BatchListener | undefined
  reading = true
  ended = false
  readonly answers: { id: bigint; results: readonly (Result | KvError)[]; sent: () => void }[] = []

  listen(listener: BatchListener): void {
    this.listener = listener
  }
  send(id: bigint, results: readonly (Result | KvError)[], sent: () => void): void {
    this.answers.push({ id, results, sent })
  }
  pause(): void {
    this.reading = false
  }
  resume(): void {
    this.reading = true
  }
  end(): void {
    this.ended = true
  }
}

const GET: Operation = { kind: 'get', key: Buffer.from('k') }
const PUT: Operation = { kind: 'put', key: Buffer.from('k'), value: Buffer.alloc(1000) }
const PUT_DONE: Result = { kind: 'put', version: 1n }

function found(bytes: number): Result {
  return { kind: 'get', found: true, value: Buffer.alloc(bytes), version: 1n }
}

function setUp(limits: Partial<Limits> = {}) {
  const store = new ManualStore()
  const context = contextWith(store, limits)
  const stream = new FakeStream()
  let gone = 0
  const session = new BatchSession(context, stream, () => gone++)
  let id = 0n
  const message = (operations: readonly (Operation | undefined)[], timeoutMs = 0): bigint => {
    session.onMessage({ id: ++id, epoch: 1n, timeoutMs, operations })
    return id
  }
  return { store, context, stream, session, message, gone: () => gone }
}

/** `ok`, or the code of the error. */
function codes(results: readonly (Result | KvError)[] | undefined): string[] | undefined {
  return results?.map((result) => (result instanceof KvError ? result.code : 'ok'))
}

describe('a message', () => {
  test('is answered once, when its last operation is done, in the order of its operations', () => {
    const { store, stream, message } = setUp()
    message([PUT, GET])
    store.waiting[1]?.done(undefined, found(3))
    expect(stream.answers).toEqual([])
    store.waiting[0]?.done(undefined, PUT_DONE)
    expect(stream.answers.map((answer) => answer.results)).toEqual([[PUT_DONE, found(3)]])
  })

  test('does not wait for messages before it', () => {
    const { store, stream, message } = setUp()
    message([PUT])
    const second = message([GET])
    store.waiting[1]?.done(undefined, found(3))
    expect(stream.answers.map((answer) => answer.id)).toEqual([second])
  })

  test('without operations is answered', () => {
    const { stream, message } = setUp()
    message([])
    expect(stream.answers).toHaveLength(1)
  })

  test('carries its time-out to the Store, or the default', () => {
    const { store, message } = setUp({ deadlineMs: 777 })
    message([GET], 50)
    message([GET])
    expect(store.waiting.map((one) => one.deadlineMs)).toEqual([50, 777])
  })

  test('an error is one operation’s, an unknown kind is UNSUPPORTED', () => {
    const { store, stream, message } = setUp()
    message([GET, undefined, PUT])
    store.fail(new UnavailableError('no leader', { outcome: 'not-applied' }))
    store.answer(PUT_DONE)
    expect(codes(stream.answers[0]?.results)).toEqual(['UNAVAILABLE', 'UNSUPPORTED', 'ok'])
  })

  test('with too many operations is refused whole', () => {
    const { store, stream, message } = setUp({ batchOperationsMax: 2 })
    message([GET, GET, GET])
    expect(codes(stream.answers[0]?.results)).toEqual(['TOO_LARGE', 'TOO_LARGE', 'TOO_LARGE'])
    expect(store.waiting).toEqual([])
  })
})

describe('bounds', () => {
  test('past 64 open messages the stream is not read, until an answer is written', () => {
    const { store, stream, message } = setUp()
    for (let i = 0; i < 64; i++) message([GET])
    expect(stream.reading).toBe(false)
    store.answer(found(1))
    expect(stream.reading).toBe(false)
    stream.answers[0]?.sent()
    expect(stream.reading).toBe(true)
  })

  test('bytes past the stream’s share are OVERLOADED, and come back when the answer is written', () => {
    const { store, stream, context, message } = setUp({ inFlightBytesMax: 8000 })
    message([PUT])
    message([PUT])
    expect(codes(stream.answers[0]?.results)).toEqual(['OVERLOADED'])
    expect(stream.answers[0]?.results[0]).toMatchObject({ outcome: 'not-applied', retryAfterMs: 10 })
    stream.answers[0]?.sent()
    store.answer(PUT_DONE)
    expect(context.budget.held).toBeGreaterThan(1000)
    stream.answers[1]?.sent()
    expect(context.budget.held).toBe(0)
  })

  test('an answer over the message limit tells the rest to ask again; the first always fits', () => {
    const { store, stream, message } = setUp({ batchBytesMax: 2500 })
    message([GET, GET, GET, GET])
    store.answer(found(5000))
    store.answer(found(100))
    store.answer({ kind: 'get', found: false, value: Buffer.alloc(0), version: 0n })
    store.answer(found(100))
    expect(codes(stream.answers[0]?.results)).toEqual(['ok', 'OVERLOADED', 'ok', 'OVERLOADED'])
  })

  test('values that are held count like requests', () => {
    const { store, stream, context, message } = setUp({ inFlightBytesMax: 8000 })
    message([GET])
    message([GET])
    store.answer(found(1300))
    store.answer(found(1300))
    expect(stream.answers.flatMap((answer) => codes(answer.results))).toEqual(['ok', 'OVERLOADED'])
    for (const answer of stream.answers) answer.sent()
    expect(context.budget.held).toBe(0)
  })
})

describe('the end', () => {
  test('a client that sends no more still gets its answers', () => {
    const { store, stream, session, message } = setUp()
    message([GET])
    session.onEnd()
    expect(stream.ended).toBe(false)
    store.answer(found(1))
    stream.answers[0]?.sent()
    expect(stream.ended).toBe(true)
  })

  test('draining reads no more, answers what is there and ends', () => {
    const { store, stream, session, message } = setUp()
    message([GET])
    session.drain()
    expect([stream.reading, stream.ended]).toEqual([false, false])
    store.answer(found(1))
    stream.answers[0]?.sent()
    expect([stream.reading, stream.ended]).toEqual([false, true])
  })

  test('draining a full stream does not begin to read it again', () => {
    const { store, stream, session, message } = setUp()
    for (let i = 0; i < 64; i++) message([GET])
    session.drain()
    store.answer(found(1))
    stream.answers[0]?.sent()
    expect(stream.reading).toBe(false)
  })

  test('a client that has gone gives everything back at once, and late answers hold nothing', () => {
    const { store, stream, session, context, message, gone } = setUp()
    message([GET, PUT])
    session.onGone()
    expect([context.budget.held, gone()]).toEqual([0, 1])
    store.answer(found(1000))
    store.answer(PUT_DONE)
    expect(context.budget.held).toBe(0)
    expect(stream.answers).toEqual([])
  })
})
