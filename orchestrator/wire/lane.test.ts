import { describe, expect, test } from 'vitest'
import type { Limits } from '../core/limits.js'
import { seededRng } from '../core/rng.js'
import { limitsWith } from '../core/testing/limits.js'
import { ManualClock } from '../core/testing/manual-clock.js'
import type { BatchRequest } from './gen/kvorum/v1/kv.js'
import { Lane, type LaneChange, type LaneOptions } from './lane.js'
import { FakeConnection, turn } from './testing/fake-connection.js'
import { FakeRequest, get, put } from './testing/fake-request.js'

const STALL_MS = 300

function setUp(options: Partial<LaneOptions> = {}, limits: Partial<Limits> = {}) {
  const clock = new ManualClock()
  const connections: FakeConnection[] = []
  const changes: LaneChange['kind'][] = []
  const lane = new Lane('peer:1', {
    limits: limitsWith(limits),
    clock,
    rng: seededRng(1),
    epoch: () => 7n,
    stallMs: STALL_MS,
    patienceMs: Number.POSITIVE_INFINITY,
    onChange: ({ kind }) => changes.push(kind),
    connect: (address, handlers) => {
      const connection = new FakeConnection(address, handlers)
      connections.push(connection)
      return connection
    },
    ...options,
  })
  const latest = (): FakeConnection => {
    const connection = connections.at(-1)
    if (connection === undefined) throw new Error('the lane has not connected')
    return connection
  }
  const send = (...requests: FakeRequest[]) => {
    for (const request of requests) lane.send(request)
  }
  /** With an open connection that has served once. */
  const open = async () => {
    send(get())
    latest().open()
    await turn()
    latest().answerAll()
  }
  return { clock, connections, changes, lane, latest, send, open }
}

function kinds(message: BatchRequest | undefined): (string | undefined)[] {
  return message?.operations.map((operation) => operation.kind?.$case) ?? []
}

describe('batching', () => {
  test('what is sent in one turn is one message of writes and one of reads', async () => {
    const { latest, send, open } = setUp()
    await open()
    send(put('a'), get('b'), put('c'), get('d'))
    expect(latest().written).toEqual([])
    await turn()
    expect(latest().written.map(kinds)).toEqual([
      ['put', 'put'],
      ['get', 'get'],
    ])
    expect(latest().written[0]).toMatchObject({ epoch: 7n })
  })

  test('reads with a bound travel apart: they wait for other things, and hold up nobody', async () => {
    const { latest, send, open } = setUp()
    await open()
    const stale = () => new FakeRequest({ operation: { kind: 'get', key: Buffer.from('s'), staleMs: 5 } })
    send(stale(), get('a'), stale())
    await turn()
    expect(latest().written.map(kinds)).toEqual([['get'], ['get', 'get']])
    expect(latest().written[1]?.operations[0]?.kind?.value).toMatchObject({ staleMs: 5 })
    latest().answer(latest().written.shift())
    send(get('b'))
    await turn()
    expect(latest().written.map(kinds)).toEqual([['get', 'get'], ['get']])
  })

  test('one message of a kind is in flight; what comes meanwhile is the next', async () => {
    const { latest, send, open } = setUp()
    await open()
    send(put('1'))
    await turn()
    send(put('2'))
    await turn()
    send(put('3'), get('r'))
    await turn()
    expect(latest().written.map(kinds)).toEqual([['put'], ['get']])
    latest().answerAll()
    await turn()
    expect(latest().written.map(kinds)).toEqual([['put', 'put']])
  })

  test('many reads are two messages, so that client and peer work at the same time', async () => {
    const { latest, send, open } = setUp()
    await open()
    send(...Array.from({ length: 63 }, () => get()))
    await turn()
    const counts = () => latest().written.map(({ operations }) => operations.length)
    expect(counts()).toEqual([63])
    send(...Array.from({ length: 31 }, () => get()))
    await turn()
    expect(counts()).toEqual([63])
    send(...Array.from({ length: 34 }, () => get()))
    await turn()
    // A second one of half of what waits, and never a third.
    expect(counts()).toEqual([63, 33])
    latest().answerAll()
    await turn()
    expect(counts()).toEqual([32])
  })

  test('many writes are one message', async () => {
    const { latest, send, open } = setUp()
    await open()
    send(...Array.from({ length: 100 }, (_, at) => put(`k${at}`)))
    await turn()
    send(...Array.from({ length: 100 }, (_, at) => put(`l${at}`)))
    await turn()
    expect(latest().written.map(({ operations }) => operations.length)).toEqual([100])
  })

  test('a message stays within its limits, and says the longest time that is left', async () => {
    const { latest, send, open } = setUp({}, { batchBytesMax: 100, batchOperationsMax: 3 })
    await open()
    send(...[40, 40, 40].map((bytes) => new FakeRequest({ operation: put().operation, bytes, deadline: 500 })))
    send(put('x', 900))
    await turn()
    expect(latest().written.map(({ operations, timeoutMs }) => [operations.length, timeoutMs])).toEqual([[2, 470]])
    latest().answerAll()
    await turn()
    expect(latest().written.map(({ operations, timeoutMs }) => [operations.length, timeoutMs])).toEqual([[2, 870]])
  })

  test('a short time is not taken away altogether', async () => {
    const { latest, send, open } = setUp()
    await open()
    send(put('short', 20))
    await turn()
    expect(latest().written[0]?.timeoutMs).toBe(15)
  })

  test('a patient lane lets a slow message be overtaken', async () => {
    const { clock, latest, send, open } = setUp({ patienceMs: 50 })
    await open()
    send(put('slow'))
    await turn()
    send(put('next'))
    await turn()
    expect(latest().written).toHaveLength(1)
    clock.advance(75)
    await turn()
    expect(latest().written).toHaveLength(2)
    latest().answer(latest().written[1])
  })

  test('a message that nobody waits for any more holds nothing back', async () => {
    const { clock, latest, send, open } = setUp()
    await open()
    const late = put('late', 100)
    send(late)
    await turn()
    send(put('next', 10_000))
    clock.advance(125)
    await turn()
    expect(late.outcome).toMatchObject({ code: 'DEADLINE_EXCEEDED', outcome: 'unknown' })
    expect(latest().written).toHaveLength(2)
  })
})

describe('outcomes', () => {
  test('when the connection breaks, only writes that were handed to it are unknown', async () => {
    const { latest, send, open } = setUp()
    await open()
    const [written, read] = [put('w'), get('r')]
    send(written, read)
    await turn()
    const queued = [put('q'), get('q')]
    send(...queued)
    latest().break()
    expect(written.outcome).toMatchObject({ code: 'UNAVAILABLE', outcome: 'unknown' })
    for (const request of [read, ...queued]) {
      expect(request.outcome).toMatchObject({ code: 'UNAVAILABLE', outcome: 'not-applied' })
    }
  })

  test('what waits for a connection that fails was not sent', () => {
    const { latest, send } = setUp()
    const write = put()
    send(write)
    latest().break()
    expect(write.outcome).toMatchObject({ code: 'UNAVAILABLE', outcome: 'not-applied' })
  })

  test('a connection that takes too long is given up', () => {
    const { clock, send, changes } = setUp()
    const write = put()
    send(write)
    clock.advance(1025)
    expect(write.outcome).toMatchObject({ code: 'UNAVAILABLE', outcome: 'not-applied' })
    expect(changes).toEqual(['down'])
  })

  test('deadlines hold, also while connecting', () => {
    const { clock, send } = setUp()
    const write = put('k', 100)
    send(write)
    clock.advance(125)
    expect(write.outcome).toMatchObject({ code: 'DEADLINE_EXCEEDED', outcome: 'not-applied' })
  })

  test('an answer that does not fit the question breaks the connection', async () => {
    const { latest, send, open, changes } = setUp()
    await open()
    const write = put()
    send(write)
    await turn()
    latest().receive({ id: latest().written[0]?.id ?? 0n, results: [], positions: [] })
    expect(write.outcome).toMatchObject({ outcome: 'unknown' })
    expect(changes).toEqual(['open', 'down'])
  })

  test('close ends everything and starts nothing', async () => {
    const { clock, lane, latest, send, open } = setUp()
    await open()
    const [sent, queued] = [put('s'), put('q')]
    send(sent)
    await turn()
    send(queued)
    lane.close()
    expect(sent.outcome).toMatchObject({ code: 'CANCELLED', outcome: 'unknown' })
    expect(queued.outcome).toMatchObject({ code: 'CANCELLED', outcome: 'not-applied' })
    expect(latest().closed).toBe(true)
    const after = put()
    send(after)
    expect(after.outcome).toMatchObject({ outcome: 'not-applied' })
    expect(clock.pending).toBe(0)
  })
})

describe('connecting', () => {
  test('starts with the first request, and once', () => {
    const { connections, send } = setUp()
    expect(connections).toHaveLength(0)
    send(get(), put(), get())
    expect(connections).toHaveLength(1)
  })

  test('after a connection that served: at once, on a new one', async () => {
    const { connections, lane, latest, send, open } = setUp()
    await open()
    latest().break()
    expect(lane.usable).toBe(true)
    send(get())
    expect(connections).toHaveLength(2)
    expect(connections[0]?.closed).toBe(true)
  })

  test('after failures: not before a growing backoff, and no timer runs meanwhile', () => {
    const { clock, lane, latest, send } = setUp()
    const waits: number[] = []
    for (let failure = 0; failure < 8; failure++) {
      send(get())
      latest().break()
      expect(clock.pending).toBe(0)
      const refused = get()
      send(refused)
      expect(refused.outcome).toMatchObject({ code: 'UNAVAILABLE', outcome: 'not-applied' })
      const from = clock.monotonic()
      while (!lane.usable) clock.advance(1)
      waits.push(clock.monotonic() - from)
    }
    expect(waits[0]).toBeLessThanOrEqual(5)
    expect(waits[7]).toBeGreaterThanOrEqual(50)
    expect(Math.max(...waits)).toBeLessThanOrEqual(100)
  })
})

describe('a silent peer', () => {
  test('after the stall time reads and unsent writes are given back, sent writes wait', async () => {
    const { clock, lane, latest, send, open, changes } = setUp()
    await open()
    const [write, read] = [put('w', 5000), get('r', 5000)]
    send(write, read)
    await turn()
    const queued = put('q', 5000)
    send(queued)
    clock.advance(STALL_MS - 25)
    expect(lane.usable).toBe(true)
    clock.advance(25)
    expect(lane.usable).toBe(false)
    expect(changes).toEqual(['open', 'stalled'])
    expect(read.outcome).toMatchObject({ code: 'UNAVAILABLE', outcome: 'not-applied' })
    expect(queued.outcome).toMatchObject({ code: 'UNAVAILABLE', outcome: 'not-applied' })
    expect(write.outcome).toBeUndefined()
    latest().answerAll()
    expect(write.outcome).toMatchObject({ kind: 'put' })
    expect(lane.usable).toBe(true)
    expect(changes).toEqual(['open', 'stalled', 'recovered'])
  })

  test('that was only slow gets more time afterwards', async () => {
    const { clock, lane, latest, send, open } = setUp()
    await open()
    send(get())
    await turn()
    clock.advance(STALL_MS)
    latest().answerAll()
    send(get())
    await turn()
    clock.advance(STALL_MS)
    expect(lane.usable).toBe(true)
    clock.advance(STALL_MS)
    expect(lane.usable).toBe(false)
  })

  test('is not silent while anything is answered', async () => {
    const { clock, lane, latest, send, open } = setUp()
    await open()
    send(put('never answered'))
    await turn()
    for (let round = 0; round < 10; round++) {
      send(get())
      await turn()
      clock.advance(STALL_MS / 2)
      latest().answer(latest().written.at(-1))
    }
    expect(lane.usable).toBe(true)
  })

  test('is given up when nobody waits for it any more', async () => {
    const { clock, latest, send, open, changes, lane } = setUp()
    await open()
    const write = put('w', 2000)
    send(write)
    await turn()
    clock.advance(4500)
    expect(write.outcome).toMatchObject({ code: 'DEADLINE_EXCEEDED', outcome: 'unknown' })
    expect(changes).toEqual(['open', 'stalled'])
    clock.advance(600)
    expect(changes).toEqual(['open', 'stalled', 'down'])
    expect(latest().closed).toBe(true)
    expect(clock.pending).toBe(0)
    expect(lane.usable).toBe(true)
  })

  test('is waited for as long as a write has time', async () => {
    const { clock, send, open, changes } = setUp()
    await open()
    send(put('w', 60_000))
    await turn()
    clock.advance(50_000)
    expect(changes).toEqual(['open', 'stalled'])
  })
})

describe('retiring', () => {
  test('waits for what is in flight, gives the rest back and closes', async () => {
    const { clock, lane, latest, send, open } = setUp()
    await open()
    const [sent, queued, late] = [put('s'), put('q'), put('l')]
    send(sent)
    await turn()
    send(queued)
    lane.retire()
    expect(queued.outcome).toMatchObject({ outcome: 'not-applied' })
    send(late)
    expect(late.outcome).toMatchObject({ outcome: 'not-applied' })
    expect(lane.closed).toBe(false)
    latest().answerAll()
    expect(sent.outcome).toMatchObject({ kind: 'put' })
    expect(lane.closed).toBe(true)
    expect([latest().closed, clock.pending]).toEqual([true, 0])
  })

  test('closes at once when nothing is in flight', () => {
    const { lane } = setUp()
    lane.retire()
    expect(lane.closed).toBe(true)
  })
})

test('no timer runs while nothing waits', async () => {
  const { clock, open } = setUp()
  await open()
  clock.advance(25)
  expect(clock.pending).toBe(0)
})
