import { describe, expect, test } from 'vitest'
import type { Limits } from '../core/limits.js'
import { bytesOf, type Operation, type Result, type Stamp } from '../core/operation.js'
import { ManualClock } from '../core/testing/manual-clock.js'
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
  readonly answers: {
    id: bigint
    results: readonly (Result | KvError)[]
    sent: () => void
    positions: readonly number[]
  }[] = []

  listen(listener: BatchListener): void {
    this.listener = listener
  }
  send(id: bigint, results: readonly (Result | KvError)[], sent: () => void, positions: readonly number[] = []): void {
    this.answers.push({ id, results, sent, positions })
  }
  fail(): void {
    this.ended = true
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
  cut(): void {
    this.ended = true
    this.listener?.onGone()
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
  const clock = new ManualClock()
  const context = contextWith(store, limits, clock)
  const stream = new FakeStream()
  let gone = 0
  const session = new BatchSession(context, stream, () => gone++)
  let id = 0n
  const message = (
    operations: readonly (Operation | undefined)[],
    timeoutMs = 0,
    stamps: readonly (Stamp | undefined)[] = [],
  ): bigint => {
    const bytes = operations.reduce((sum, one) => sum + (one === undefined ? 0 : bytesOf(one) - 256), 0)
    const outline = { id: ++id, bytes, operations: operations.length, sessions: 0, parts: 0 }
    const refusal = session.admit(outline)
    if (refusal === undefined) session.onMessage({ id, epoch: 1n, timeoutMs, operations, stamps })
    else stream.send(id, new Array<KvError>(operations.length).fill(refusal.error), refusal.sent)
    return id
  }
  // One timer looks after slow readers for as long as there is a stream.
  const timers = () => clock.pending - 1
  return { clock, store, context, stream, session, message, timers, gone: () => gone }
}

/** `ok`, or the code of the error. */
function codes(results: readonly (Result | KvError)[] | undefined): string[] | undefined {
  return results?.map((result) => (result instanceof KvError ? result.code : 'ok'))
}

describe('a message', () => {
  test('passes the numbers of its writes on', () => {
    const { store, message } = setUp()
    const stamp = { session: { id: new Uint8Array(16), floor: 3, shard: 2 }, sequence: 4 }
    message([PUT, GET, PUT], 0, [undefined, undefined, stamp])
    expect(store.waiting.map((one) => one.stamp)).toEqual([undefined, undefined, stamp])
  })

  test('that is soon done is answered whole, in the order of its operations', () => {
    const { clock, store, stream, message } = setUp()
    message([PUT, GET])
    clock.advance(1000)
    store.waiting[1]?.done(undefined, found(3))
    clock.advance(19)
    expect(stream.answers).toEqual([])
    store.waiting[0]?.done(undefined, PUT_DONE)
    clock.advance(100)
    expect(stream.answers).toMatchObject([{ results: [PUT_DONE, found(3)], positions: [] }])
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

describe('a message of which a part takes long', () => {
  /** What was sent so far: the positions of each answer, and what it said. */
  const said = (stream: FakeStream) => stream.answers.map(({ positions, results }) => [positions, codes(results)])

  test('is answered without it 20 ms after its first operation was done, and with it later', () => {
    const { timers, clock, store, stream, message } = setUp()
    const id = message([GET, PUT, GET])
    store.waiting[2]?.done(undefined, found(3))
    clock.advance(10)
    store.waiting[1]?.done(undefined, PUT_DONE)
    clock.advance(9)
    expect(said(stream)).toEqual([])
    clock.advance(1)
    expect(stream.answers).toMatchObject([{ id, positions: [1, 2], results: [PUT_DONE, found(3)] }])
    store.waiting[0]?.done(new UnavailableError('no leader', { outcome: 'not-applied' }), undefined)
    expect(said(stream).slice(1)).toEqual([[[0], ['UNAVAILABLE']]])
    clock.advance(100)
    expect([stream.answers.length, timers()]).toEqual([2, 0])
  })

  test('groups what comes later, too', () => {
    const { clock, store, stream, message } = setUp()
    message([GET, GET, GET, GET])
    store.answer(found(1))
    clock.advance(20)
    clock.advance(500)
    store.answer(found(1))
    clock.advance(19)
    store.answer(found(1))
    expect(said(stream)).toHaveLength(1)
    clock.advance(1)
    store.answer(found(1))
    expect(said(stream).map(([positions]) => positions)).toEqual([[0], [1, 2], [3]])
  })

  test('waits from its own first operation on, whatever the messages beside it do', () => {
    const { timers, clock, store, stream, message } = setUp()
    const first = message([PUT, PUT])
    const second = message([GET, GET])
    store.waiting[0]?.done(undefined, PUT_DONE)
    clock.advance(15)
    expect(timers()).toBe(1)
    store.waiting[2]?.done(undefined, found(1))
    expect(timers()).toBe(1)
    clock.advance(5)
    expect(stream.answers.map((answer) => answer.id)).toEqual([first])
    clock.advance(14)
    expect(stream.answers).toHaveLength(1)
    clock.advance(1)
    expect(stream.answers.map((answer) => answer.id)).toEqual([first, second])
  })

  test('gives back the bytes of values with each part, and its own with the last', () => {
    const { clock, store, stream, context, message } = setUp()
    message([GET, PUT, GET])
    const values = context.values
    const request = context.budget.held - values.held
    store.answer(found(5000))
    clock.advance(20)
    const aside = values.held
    stream.answers[0]?.sent()
    expect(aside - values.held).toBe(5064)
    expect(context.budget.held - values.held).toBe(request)
    store.answer(PUT_DONE)
    store.answer(found(7000))
    expect(context.budget.held).toBe(request + 7064)
    stream.answers[1]?.sent()
    expect(context.budget.held).toBe(0)
  })

  test('has room for as much in each part as a whole answer', () => {
    const { clock, store, stream, message } = setUp({ batchBytesMax: 2500 })
    message([GET, GET, GET, GET])
    store.answer(found(2000))
    store.answer(found(2000))
    clock.advance(20)
    store.answer(found(2000))
    store.answer(found(2000))
    expect(said(stream)).toEqual([
      [
        [0, 1],
        ['ok', 'OVERLOADED'],
      ],
      [
        [2, 3],
        ['ok', 'OVERLOADED'],
      ],
    ])
  })

  test('keeps its stream open while it drains, until the last part is written', () => {
    const { clock, store, stream, session, message } = setUp()
    message([GET, GET])
    store.answer(found(1))
    session.drain()
    clock.advance(20)
    stream.answers[0]?.sent()
    expect(stream.ended).toBe(false)
    store.answer(found(1))
    stream.answers[1]?.sent()
    expect(stream.ended).toBe(true)
  })

  test('is dropped with its client: nothing is held, no timer runs, nothing is sent', () => {
    const { clock, store, stream, session, context, message } = setUp()
    message([GET, GET, GET, GET])
    store.answer(found(1000))
    clock.advance(20)
    store.answer(found(1000))
    session.onGone()
    expect([context.budget.held, clock.pending]).toEqual([0, 0])
    stream.answers[0]?.sent()
    store.answer(found(1000))
    store.answer(found(1000))
    clock.advance(100)
    expect([context.budget.held, clock.pending, stream.answers.length]).toEqual([0, 0, 1])
  })
})

describe('bounds', () => {
  test('past 64 open messages the stream is not read, until an answer is written', () => {
    const { store, stream, message } = setUp()
    for (let i = 0; i < 64; i++) message([PUT])
    expect(stream.reading).toBe(false)
    store.answer(PUT_DONE)
    expect(stream.reading).toBe(false)
    stream.answers[0]?.sent()
    expect(stream.reading).toBe(true)
  })

  test('a message that was answered in part, and whose part was taken, does not count among the 64', () => {
    const { clock, store, stream, message } = setUp()
    for (let i = 0; i < 64; i++) message([PUT, PUT])
    store.waiting[0]?.done(undefined, PUT_DONE)
    clock.advance(20)
    expect(stream.reading).toBe(false)
    stream.answers[0]?.sent()
    expect(stream.reading).toBe(true)
    message([PUT])
    expect(stream.reading).toBe(false)
  })

  test('past 1,024 open messages the stream is not read, however many were answered in part', () => {
    const { clock, store, stream, message } = setUp()
    const open = () => {
      message([GET, PUT])
      store.waiting.at(-2)?.done(undefined, found(1))
      clock.advance(20)
      stream.answers.at(-1)?.sent()
    }
    for (let i = 0; i < 1023; i++) open()
    expect(stream.reading).toBe(true)
    open()
    expect(stream.reading).toBe(false)
    store.waiting[1]?.done(undefined, PUT_DONE)
    stream.answers.at(-1)?.sent()
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

  test('a stream that was refused is not read for a while, and then again', () => {
    const { clock, stream, session, message } = setUp({ inFlightBytesMax: 4000 })
    message([PUT])
    message([PUT])
    stream.answers[0]?.sent()
    expect(stream.reading).toBe(false)
    clock.advance(1000)
    expect(stream.reading).toBe(true)
    message([PUT])
    session.onGone()
    expect(clock.pending).toBe(0)
  })

  test('a message is weighed as it came, whatever of it is no operation', () => {
    const { session, store } = setUp({ inFlightBytesMax: 8000 })
    expect(session.admit({ id: 1n, bytes: 300, operations: 1, sessions: 0, parts: 0 })).toBeUndefined()
    session.onMessage({ id: 1n, epoch: 1n, timeoutMs: 0, operations: [GET], stamps: [] })
    const refusal = session.admit({ id: 2n, bytes: 5000, operations: 1, sessions: 0, parts: 0 })
    expect(refusal?.error).toMatchObject({ code: 'OVERLOADED', outcome: 'not-applied' })
    expect(store.waiting).toHaveLength(1)
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

  test('values that wait to be read hold at most half of what there is', () => {
    const { store, stream, context, message } = setUp({ inFlightBytesMax: 8000 })
    message([GET])
    message([GET])
    store.answer(found(2500))
    store.answer(found(2500))
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
