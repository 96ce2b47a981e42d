// Answers in parts, as a gateway gives them while one shard is slow.
import { describe, expect, test } from 'vitest'
import type { Limits } from '../core/limits.js'
import { seededRng } from '../core/rng.js'
import { limitsWith } from '../core/testing/limits.js'
import { ManualClock } from '../core/testing/manual-clock.js'
import { Lane, type LaneChange, type LaneOptions } from './lane.js'
import { FakeConnection, turn } from './testing/fake-connection.js'
import { FakeRequest, get, put } from './testing/fake-request.js'

const STALL_MS = 300
const PATIENCE_MS = 50

/** A lane whose connection is open, and which has sent the requests. */
async function setUp(requests: FakeRequest[], options: Partial<LaneOptions> = {}, limits: Partial<Limits> = {}) {
  const clock = new ManualClock()
  const connections: FakeConnection[] = []
  const changes: LaneChange['kind'][] = []
  const lane = new Lane('peer:1', {
    limits: limitsWith(limits),
    clock,
    rng: seededRng(1),
    epoch: () => 7n,
    stallMs: Number.POSITIVE_INFINITY,
    patienceMs: PATIENCE_MS,
    onChange: ({ kind }) => changes.push(kind),
    connect: (address, handlers) => {
      const made = new FakeConnection(address, handlers)
      connections.push(made)
      return made
    },
    ...options,
  })
  const send = async (...more: FakeRequest[]) => {
    for (const request of more) lane.send(request)
    await turn()
  }
  for (const request of requests) lane.send(request)
  const connection = connections[0]
  if (connection === undefined) throw new Error('the lane has not connected')
  connection.open()
  await turn()
  return { clock, lane, connection, changes, send }
}

function puts(count: number): FakeRequest[] {
  return Array.from({ length: count }, (_, at) => put(`k${at}`))
}

/** Which of the requests were completed with a result. */
function done(requests: readonly FakeRequest[]): boolean[] {
  return requests.map(({ outcome }) => outcome !== undefined && 'kind' in outcome)
}

describe('a message that is answered in parts', () => {
  test('completes what each part answers, in any order, and is over with the last', async () => {
    const requests = puts(4)
    const { clock, connection } = await setUp(requests)
    connection.answerPart(connection.written[0], [2, 0])
    expect(done(requests)).toEqual([true, false, true, false])
    connection.answerPart(connection.written[0], [3])
    connection.answerPart(connection.written[0], [1])
    expect(done(requests)).toEqual([true, true, true, true])
    clock.advance(25)
    expect(clock.pending).toBe(0)
  })

  test('each result goes to the operation that its position names', async () => {
    const requests = [get('a'), get('b'), get('c')]
    const { connection } = await setUp(requests)
    const value = (text: string) => ({
      kind: { $case: 'get' as const, value: { found: true, value: Buffer.from(text), version: 1n } },
    })
    const id = connection.written[0]?.id ?? 0n
    connection.receive({ id, results: [value('c'), value('a')], positions: [2, 0] })
    connection.receive({ id, results: [value('b')], positions: [1] })
    expect(requests.map(({ outcome }) => outcome)).toMatchObject(
      ['a', 'b', 'c'].map((text) => ({ value: Buffer.from(text) })),
    )
  })

  test('may say all of its positions at once', async () => {
    const requests = puts(2)
    const { lane, connection } = await setUp(requests)
    connection.answerPart(connection.written[0], [1, 0])
    lane.retire()
    expect(lane.closed).toBe(true)
  })

  test('is in flight until the rest is there: a lane that retires waits for it', async () => {
    const requests = puts(2)
    const { lane, connection } = await setUp(requests)
    lane.retire()
    connection.answerPart(connection.written[0], [0])
    expect(lane.closed).toBe(false)
    connection.answerPart(connection.written[0], [1])
    expect([lane.closed, ...done(requests)]).toEqual([true, true, true])
  })
})

describe('what is not answered', () => {
  test('fails alone when the connection breaks', async () => {
    const requests = puts(2)
    const { connection } = await setUp(requests)
    connection.answerPart(connection.written[0], [1])
    connection.break()
    expect(requests[0]?.outcome).toMatchObject({ code: 'UNAVAILABLE', outcome: 'unknown' })
    expect(requests[1]?.outcome).toMatchObject({ kind: 'put' })
  })

  test('is cancelled alone by close', async () => {
    const requests = puts(2)
    const { clock, lane, connection } = await setUp(requests)
    connection.answerPart(connection.written[0], [1])
    lane.close()
    expect(requests[0]?.outcome).toMatchObject({ code: 'CANCELLED', outcome: 'unknown' })
    expect(requests[1]?.outcome).toMatchObject({ kind: 'put' })
    expect(clock.pending).toBe(0)
  })

  test('keeps its deadline, and an answer that then comes is nobody’s', async () => {
    const requests = [put('stuck', 100), put('well', 100), put('slow', 10_000)]
    const { clock, connection, changes } = await setUp(requests)
    connection.answerPart(connection.written[0], [1])
    clock.advance(125)
    expect(requests[0]?.outcome).toMatchObject({ code: 'DEADLINE_EXCEEDED', outcome: 'unknown' })
    connection.answerPart(connection.written[0], [0, 2])
    expect(done(requests)).toEqual([false, true, true])
    expect(changes).toEqual(['open'])
  })

  test('may be cancelled by its caller', async () => {
    const requests = puts(2)
    const { clock, connection } = await setUp(requests)
    connection.answerPart(connection.written[0], [1])
    if (requests[0] !== undefined) requests[0].settled = true
    clock.advance(25)
    connection.answerPart(connection.written[0], [0])
    expect(done(requests)).toEqual([false, true])
  })
})

describe('an answer that cannot be', () => {
  test.each<[string, number[], number[]]>([
    ['a position twice in a part', [], [1, 1]],
    ['a position that was answered', [1], [0, 1]],
    ['a position that the message does not have', [], [0, 3]],
    ['more after the last', [0, 1, 2], [0]],
  ])('%s breaks the connection', async (_, first, second) => {
    const requests = puts(3)
    const { connection, changes } = await setUp(requests)
    if (first.length > 0) connection.answerPart(connection.written[0], first)
    connection.answerPart(connection.written[0], second)
    expect(changes).toEqual(['open', 'down'])
    const rest = requests.filter((_request, at) => !first.includes(at))
    for (const { outcome } of rest) expect(outcome).toMatchObject({ code: 'UNAVAILABLE', outcome: 'unknown' })
    expect(done(requests)).toEqual(requests.map((_request, at) => first.includes(at)))
  })

  test.each<[string, number[]]>([
    ['fewer positions than results', [0]],
    ['more positions than results', [0, 1, 2]],
  ])('%s', async (_, positions) => {
    const requests = puts(3)
    const { connection, changes } = await setUp(requests)
    const result = { kind: { $case: 'put' as const, value: { version: 1n } } }
    connection.receive({ id: connection.written[0]?.id ?? 0n, results: [result, result], positions })
    expect(changes).toEqual(['open', 'down'])
    expect(requests[0]?.outcome).toMatchObject({ outcome: 'unknown' })
  })

  test('a whole answer after a part breaks the connection', async () => {
    const requests = puts(2)
    const { connection, changes } = await setUp(requests)
    connection.answerPart(connection.written[0], [0])
    connection.answer(connection.written[0])
    expect(changes).toEqual(['open', 'down'])
    expect(requests[1]?.outcome).toMatchObject({ outcome: 'unknown' })
  })
})

describe('the lane beside it', () => {
  test('is not silent while parts come', async () => {
    const requests = puts(11)
    const { clock, lane, connection, changes } = await setUp(requests, { stallMs: STALL_MS })
    for (let at = 0; at < 10; at++) {
      clock.advance(STALL_MS / 2)
      connection.answerPart(connection.written[0], [at])
    }
    expect(lane.usable).toBe(true)
    clock.advance(STALL_MS)
    expect(changes).toEqual(['open', 'stalled'])
    connection.answerPart(connection.written[0], [10])
    expect(changes).toEqual(['open', 'stalled', 'recovered'])
  })

  test('gathers what comes for as long as its patience, parts or not', async () => {
    const { clock, connection, send } = await setUp(puts(2))
    connection.answerPart(connection.written[0], [0])
    await send(put('next'))
    expect(connection.written).toHaveLength(1)
    clock.advance(PATIENCE_MS)
    await turn()
    expect(connection.written).toHaveLength(2)
  })

  /** Sends a message of two puts again and again, of which the second may be answered, and says how often one went. */
  async function keepSending(messages: number, answered: boolean, limits: Partial<Limits> = {}): Promise<number> {
    const pair = () => [0, 1].map(() => new FakeRequest({ operation: put().operation, bytes: 50 }))
    const { clock, connection, send } = await setUp(pair(), {}, limits)
    for (let message = 1; message <= messages; message++) {
      if (answered && connection.written.length === message) connection.answerPart(connection.written.at(-1), [1])
      await send(...pair())
      clock.advance(PATIENCE_MS)
      await turn()
    }
    return connection.written.length
  }

  test('lets many messages be answered in part, and few not at all', async () => {
    expect(await keepSending(100, false)).toBe(32)
    expect(await keepSending(100, true)).toBe(101)
    expect(await keepSending(600, true)).toBe(512)
  })

  test('what was answered no longer counts among the bytes in flight', async () => {
    expect(await keepSending(100, false, { batchBytesMax: 1000 })).toBe(20)
    expect(await keepSending(100, true, { batchBytesMax: 1000 })).toBe(40)
  })
})
