import { once } from 'node:events'
import { connect } from 'node:net'
import { describe, expect, test } from 'vitest'
import { ManualClock } from '../core/testing/manual-clock.js'
import { CompactedError, InvalidArgumentError, UnavailableError, UnsupportedError } from '../errors/index.js'
import type { HttpGateway, HttpOptions } from './index.js'
import { serving } from './testing/serving.js'
import { MapStore } from './testing/stores.js'
import { FakeWatches, MARK, puts } from './testing/watching.js'
import { Watches } from './watches.js'

async function watching(options: Partial<HttpOptions> = {}) {
  const watches = new FakeWatches()
  const served = await serving(new MapStore(), { watches: watches.source, ...options })
  const open = async (query: string, headers: Record<string, string> = {}) => {
    const gone = new AbortController()
    return reader(await served.ask(`/v1/watch?${query}`, { headers, signal: gone.signal }), gone)
  }
  return { watches, open, ...served }
}

/** By a clock that stands still nobody is cut: connections that are kept for more would hold it up. */
async function shut(gateway: HttpGateway, clock: ManualClock): Promise<void> {
  const closed = gateway.close()
  clock.advance(0)
  clock.advance(1000)
  await closed
}

/** Reads an answer's text bit by bit. */
function reader(answer: Response, gone: AbortController) {
  const chunks = (answer.body as ReadableStream<Uint8Array>).getReader()
  const decoder = new TextDecoder()
  let text = ''
  const until = async (pattern: RegExp): Promise<string> => {
    while (!pattern.test(text)) {
      const { done, value } = await chunks.read()
      if (done) throw new Error(`ended with ${text}`)
      text += decoder.decode(value, { stream: true })
    }
    return text
  }
  return { answer, until, leave: () => gone.abort() }
}

const token = (number: number) => Buffer.from([number]).toString('base64url')
const refused = { outcome: 'not-applied' } as const

describe('what it tells', () => {
  test('changes as JSON, each with the id to go on from', async () => {
    const { open, watches } = await watching()
    watches.tell(MARK, puts(['u:a', 'one'], ['u:b', Uint8Array.from([0xff])]))
    const gone = { type: 'delete' as const, key: Buffer.from('u:a'), version: 7n }
    watches.tell({ events: [{ change: gone, token: Buffer.from([9]) }], token: Buffer.from([9]) })
    const { answer, until, leave } = await open('prefix=u%3A')
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'text/event-stream'])
    expect(answer.headers.get('cache-control')).toBe('no-store')
    expect(await until(/delete.*\n\n/)).toBe(
      [
        'retry: 1000\n\n',
        `event: progress\nid: ${token(1)}\ndata: {"token":"${token(1)}"}\n\n`,
        `event: change\nid: ${token(1)}\ndata: {"type":"put","key":"u:a","value":"one","version":"1"}\n\n`,
        `event: change\nid: ${token(2)}\ndata: {"type":"put","key":"u:b","value":{"base64":"/w=="},"version":"2"}\n\n`,
        `event: change\nid: ${token(9)}\ndata: {"type":"delete","key":"u:a","version":"7"}\n\n`,
      ].join(''),
    )
    expect(watches.asked).toMatchObject([{ watched: { prefix: Buffer.from('u:') }, token: undefined }])
    leave()
    await expect.poll(() => watches.open).toBe(0)
  })

  test.each([
    ['key=k', { key: Buffer.from('k') }, 'k'],
    ['prefix=b', { prefix: Buffer.from('b') }, 'b1 b2'],
    ['prefix=b&start=b2', { prefix: Buffer.from('b') }, 'b2'],
    ['start=a1&end=a9', { prefix: Buffer.from('a') }, 'a1'],
    ['start=b2', { prefix: Buffer.alloc(0) }, 'b2 k'],
    ['end=b', { prefix: Buffer.alloc(0) }, 'a1'],
  ])('%s', async (query, watched, keys) => {
    const { open, watches } = await watching()
    // A node tells of what it was asked for.
    const present = ['a1', 'b1', 'b2', 'k'].filter((key) => !('key' in watched) || key === 'k')
    watches.tell(MARK, puts(...present.map((key) => [key, ''] as const)))
    const { until, leave } = await open(query)
    const text = await until(new RegExp(`"key":"${keys.split(' ').at(-1)}".*\n\n`))
    expect([...text.matchAll(/"key":"(\w+)"/g)].map(([, key]) => key).join(' ')).toBe(keys)
    expect(watches.asked[0]?.watched).toEqual(watched)
    leave()
  })

  test('an EventSource that connects again goes on behind its last event, whatever its address says', async () => {
    const { open, watches } = await watching()
    watches.tell(MARK)
    const first = await open(`from=${token(3)}`)
    const again = open(`from=${token(3)}`, { 'Last-Event-ID': token(5) })
    await expect.poll(() => watches.asked.map((one) => one.token)).toEqual([Buffer.from([3]), Buffer.from([5])])
    first.leave()
    await expect.poll(() => watches.open).toBe(1)
    watches.tell(MARK)
    ;(await again).leave()
  })

  test('marks no more than once a second, and comments while nothing is told', async () => {
    const clock = new ManualClock()
    const { open, watches, gateway } = await watching({ clock })
    watches.tell(MARK, MARK, MARK)
    const { until, leave } = await open('')
    await until(/progress/)
    await expect.poll(() => watches.given).toBe(3)
    clock.advance(15_000)
    expect((await until(/\n:\n\n/)).match(/progress/g)).toHaveLength(1)
    watches.tell(MARK)
    await until(/progress[\s\S]*progress/)
    leave()
    await expect.poll(() => clock.pending).toBe(0)
    await shut(gateway, clock)
  })
})

describe('what is no watch', () => {
  test.each([
    ['key=k&prefix=a', 'INVALID_ARGUMENT'],
    ['key=', 'INVALID_ARGUMENT'],
    ['from=%2A', 'INVALID_ARGUMENT'],
    ['since=5', 'INVALID_ARGUMENT'],
    ['prefix=%FF', 'INVALID_ARGUMENT'],
    ['prefix=a&prefix=b', 'INVALID_ARGUMENT'],
  ])('%s: 400', async (query, code) => {
    const { ask, watches } = await watching()
    const answer = await ask(`/v1/watch?${query}`)
    expect([answer.status, answer.headers.get('content-type')]).toEqual([400, 'application/problem+json'])
    expect(await answer.json()).toMatchObject({ code })
    expect(watches.asked).toEqual([])
  })

  test('what the watch itself refuses has its status', async () => {
    const { ask, watches } = await watching()
    watches.fail(new InvalidArgumentError('not a token', refused))
    expect((await ask(`/v1/watch?from=${token(1)}`)).status).toBe(400)
    expect((await ask('/v1/watch', { headers: { 'Last-Event-ID': 'no token' } })).status).toBe(400)
    watches.fail(new UnsupportedError('nodes of before', refused))
    expect((await ask('/v1/watch')).status).toBe(501)
    expect(watches.open).toBe(0)
    const { ask: elsewhere } = await serving(new MapStore())
    expect((await elsewhere('/v1/watch')).status).toBe(501)
  })

  test('a client that takes something else: 406', async () => {
    const { ask, open, watches } = await watching()
    const answer = await ask('/v1/watch', { headers: { Accept: 'application/json' } })
    expect(answer.status).toBe(406)
    expect(await answer.json()).toMatchObject({ code: 'NOT_ACCEPTABLE' })
    for (const Accept of ['text/event-stream', 'text/*;q=0.5', '*/*']) {
      watches.tell(MARK)
      const taken = await open('', { Accept })
      expect(taken.answer.status, Accept).toBe(200)
      taken.leave()
      await expect.poll(() => watches.open).toBe(0)
    }
  })

  test('as many as there may be: 429, until one ends', async () => {
    const watches = new FakeWatches()
    const all = new Watches(watches.source, new ManualClock())
    const signal = new AbortController().signal
    const question = { watched: {}, wants: () => true, token: undefined }
    watches.tell(...Array.from({ length: 1026 }, () => MARK))
    const streams = await Promise.all(Array.from({ length: 1024 }, () => all.stream(question, signal)))
    await expect(all.stream(question, signal)).rejects.toMatchObject({ code: 'OVERLOADED', retryAfterMs: 1000 })
    await streams[0]?.rest.return(undefined)
    streams.push(await all.stream(question, signal))
    for (const { rest } of streams) await rest.return(undefined)
    expect(watches.open).toBe(0)
  })
})

describe('the end', () => {
  test.each(['before it has begun', 'later'])('what was missed is told by an event, %s', async (when) => {
    const { ask, watches } = await watching()
    if (when === 'later') watches.tell(MARK)
    watches.fail(new CompactedError('not kept', { ...refused, token: 'AwQ' }))
    const text = await (await ask(`/v1/watch?from=${token(1)}`)).text()
    expect(text).toMatch(/^retry: 1000\n\n/)
    expect(text).toMatch(/event: compacted\nid: AwQ\ndata: {"token":"AwQ","detail":"not kept"}\n\n$/)
    expect(text.match(/retry/g)).toHaveLength(1)
    expect(watches.open).toBe(0)
  })

  test('another failure ends it with a comment', async () => {
    const { ask, watches } = await watching()
    watches.tell(MARK)
    watches.fail(new UnavailableError('two\nlines', refused))
    expect(await (await ask('/v1/watch')).text()).toMatch(/\n\n: UNAVAILABLE: two lines\n\n$/)
  })

  test('a server that stops ends it at once and in order', async () => {
    const { ask, watches, gateway } = await watching()
    watches.tell(MARK)
    const answer = await ask('/v1/watch')
    const text = answer.text()
    await expect.poll(() => watches.given).toBe(1)
    await gateway.close(60_000)
    expect(await text).toMatch(/progress.*\n.*\n.*\n\n$/)
    expect(watches.open).toBe(0)
  })

  test('one that cannot begin yet is a stream after a second, and ends with its client', async () => {
    const clock = new ManualClock()
    const { open, watches, gateway } = await watching({ clock })
    const asked = open('')
    await expect.poll(() => watches.open).toBe(1)
    clock.advance(1000)
    const { leave, until } = await asked
    await until(/retry/)
    leave()
    await expect.poll(() => watches.open).toBe(0)
    await expect.poll(() => clock.pending).toBe(0)
    await shut(gateway, clock)
  })

  test('HEAD begins nothing that stays', async () => {
    const { ask, watches } = await watching()
    watches.tell(MARK)
    const answer = await ask('/v1/watch', { method: 'HEAD' })
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'text/event-stream'])
    expect(await answer.text()).toBe('')
    await expect.poll(() => watches.open).toBe(0)
    expect((await ask('/v1/watch?key=', { method: 'HEAD' })).status).toBe(400)
  })

  test('it is the last answer of its connection', async () => {
    const { raw, watches } = await watching()
    watches.tell(MARK)
    watches.fail(new CompactedError('not kept', { ...refused, token: 'AwQ' }))
    const both = 'GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGET /v1/watch HTTP/1.1\r\nHost: localhost\r\n\r\n'
    const answers = await raw(`${both}GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n`)
    expect(answers.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(2)
    expect(answers).toMatch(/text\/event-stream\r\nConnection: close\r\n[\s\S]*event: compacted[\s\S]*\r\n0\r\n\r\n$/)
  })
})

test('who does not read is told no more, and cut after 10 s', async () => {
  const clock = new ManualClock()
  const { url, watches, gateway } = await watching({ clock })
  const large = puts(...Array.from({ length: 16 }, () => ['k', 'v'.repeat(64 << 10)] as const))
  watches.tell(...Array.from({ length: 200 }, () => large))
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  socket.on('error', () => undefined)
  socket.pause()
  socket.write('GET /v1/watch HTTP/1.1\r\nHost: localhost\r\n\r\n')
  // What the kernel takes is gone; then nothing moves.
  let before = -1
  await expect
    .poll(() => {
      const isStill = watches.given > 0 && watches.given === before
      before = watches.given
      return isStill
    })
    .toBe(true)
  expect(watches.given).toBeLessThan(30)
  expect(watches.open).toBe(1)
  clock.advance(10_000)
  await expect.poll(() => watches.open).toBe(0)
  socket.resume()
  await once(socket, 'close')
  await expect.poll(() => clock.pending).toBe(0)
  await shut(gateway, clock)
})
