import { once } from 'node:events'
import { connect } from 'node:net'
import { describe, expect, test } from 'vitest'
import { DEFAULT_LIMITS } from '../core/limits.js'
import { ManualClock } from '../core/testing/manual-clock.js'
import type { Events, Telemetry } from '../telemetry/index.js'
import { serveHttp } from './index.js'
import { idle, inJson, serving } from './testing/serving.js'
import { ManualStore, MapStore } from './testing/stores.js'

const json = (body: string, more = '') =>
  `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n${more}\r\n${body}`
const CLOSE = 'Connection: close\r\n'

describe('methods', () => {
  test('HEAD is a GET without its body', async () => {
    const { ask, raw } = await serving(new MapStore())
    await ask('/key/k', { method: 'PUT', ...inJson({ value: 'v' }) })
    const answer = await raw(`HEAD /key/k HTTP/1.1\r\nHost: localhost\r\n${CLOSE}\r\n`)
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
    expect(answer).toContain('ETag: "1"\r\n')
    expect(answer).toContain('Content-Length: 28\r\n')
    expect(answer.endsWith('\r\n\r\n')).toBe(true)
    expect((await ask('/key/none', { method: 'HEAD' })).status).toBe(404)
  })

  test.each([
    ['POST', '/key/k', 'GET, HEAD, PUT, DELETE, OPTIONS'],
    ['PATCH', '/v1/batch', 'POST, OPTIONS'],
    ['PUT', '/healthz', 'GET, HEAD, OPTIONS'],
  ])('%s %s: 405', async (method, path, allow) => {
    const { ask } = await serving(new MapStore())
    const answer = await ask(path, { method, body: 'x' })
    expect([answer.status, answer.headers.get('allow')]).toEqual([405, allow])
    expect(await answer.json()).toMatchObject({ code: 'METHOD_NOT_ALLOWED', outcome: 'not-applied' })
  })

  test('a target with scheme and host is the same target', async () => {
    const { raw } = await serving(new MapStore())
    expect(await raw(`GET http://localhost:7001/healthz HTTP/1.1\r\nHost: localhost\r\n${CLOSE}\r\n`)).toMatch(
      / 200 OK/,
    )
  })
})

test.each([
  ['localhost:7001', 200],
  ['LOCALHOST', 200],
  ['127.0.0.1:1', 200],
  ['[::1]:7001', 200],
  ['kvorum.localhost', 200],
  ['evil.example', 421],
  ['127.0.0.1.evil.example:7001', 421],
  ['localhost.evil.example', 421],
])('on loopback the host %s: %d', async (host, status) => {
  const { raw } = await serving(new MapStore())
  expect(await raw(`GET /healthz HTTP/1.1\r\nHost: ${host}\r\n${CLOSE}\r\n`)).toContain(`HTTP/1.1 ${status} `)
})

describe('what is too much', () => {
  const small = { limits: { ...DEFAULT_LIMITS, valueBytesMax: 1000 } }

  test('a value over its limit: 413, in any form; one at its limit fits in any form', async () => {
    const { ask } = await serving(new MapStore(), small)
    const put = (body: string, type: string) =>
      ask('/key/k', { method: 'PUT', headers: { 'Content-Type': type }, body })
    expect((await put('v'.repeat(1001), 'application/octet-stream')).status).toBe(413)
    expect((await put('v'.repeat(1000), 'application/octet-stream')).status).toBe(200)
    expect((await put(`{"value": "${'\\u0000'.repeat(1000)}"}`, 'application/json')).status).toBe(200)
    expect((await put(`{"value": "${'v'.repeat(8000)}"}`, 'application/json')).status).toBe(413)
  })

  test.each([
    ['said before', 'Content-Length: 999999999\r\n\r\n'],
    ['found on the way', `Transfer-Encoding: chunked\r\n\r\n${`1000\r\n${'v'.repeat(4096)}\r\n`.repeat(2)}`],
  ])('a body without end, %s: the answer arrives, and the connection ends', async (_, rest) => {
    const { raw } = await serving(new MapStore(), small)
    const answer = await raw(`PUT /key/k HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n${rest}xxx`)
    expect(answer).toMatch(/^HTTP\/1\.1 413 [\s\S]*Connection: close[\s\S]*"code":"TOO_LARGE"/)
  })

  test('a client that goes on sending gets to read why it need not', async () => {
    const { raw } = await serving(new MapStore(), small)
    const head = 'PUT /key/k HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream\r\n'
    const bytes = 8 << 20
    expect(await raw(`${head}Content-Length: ${bytes}\r\n\r\n${'v'.repeat(bytes)}`)).toMatch(/^HTTP\/1\.1 413 /)
  })

  test('who asks before it sends is told no without sending, or to go on', async () => {
    const { raw } = await serving(new MapStore(), small)
    const head = `PUT /key/k HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n`
    const no = await raw(`${head}Content-Type: application/octet-stream\r\nContent-Length: 1001\r\n\r\n`)
    expect(no).toMatch(/^HTTP\/1\.1 413 /)
    expect(await raw(head + json('{"value":"v"}', CLOSE))).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK/)
  })

  test('bytes of all requests together: 429', async () => {
    const { ask, url } = await serving(new MapStore(), { limits: { ...DEFAULT_LIMITS, inFlightBytesMax: 1000 } })
    const socket = connect(Number(new URL(url).port), '127.0.0.1')
    const half = `PUT /key/slow HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream\r\nContent-Length: 990\r\n\r\n`
    socket.write(half + 'v'.repeat(980))
    const put = () => ask('/key/k', { method: 'PUT', ...inJson({ value: 'v'.repeat(100) }) })
    await expect.poll(async () => (await put()).status).toBe(429)
    expect(await (await put()).json()).toMatchObject({ code: 'OVERLOADED', outcome: 'not-applied' })
    socket.destroy()
    await expect.poll(async () => (await put()).status).toBe(200)
  })

  test('a head of more than 32 KiB: 431; of many headers none is lost', async () => {
    const { raw } = await serving(new MapStore())
    const head = 'PUT /key/k HTTP/1.1\r\nHost: localhost\r\n'
    expect(await raw(`${head}X: ${'x'.repeat(33_000)}\r\n\r\n`)).toMatch(/^HTTP\/1\.1 431 [\s\S]*HEADERS_TOO_LARGE/)
    const condition = json('{"value":"v"}', `If-Match: "7"\r\n${CLOSE}`)
    expect(await raw(`${head}${'a:b\r\n'.repeat(5000)}${condition}`)).toMatch(/^HTTP\/1\.1 412 /)
  })
})

describe('clients that take their time', () => {
  test.each([
    ['the head', 'GET /healthz HTTP/1.1\r\nHost: local'],
    [
      'the body',
      'PUT /key/k HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{',
    ],
  ])('%s does not come: 408', async (_, text) => {
    const store = new MapStore()
    const { raw } = await serving(store, { patience: { headMs: 100, requestMs: 100, lookMs: 20 } })
    const answer = await raw(text)
    expect(answer).toMatch(/^HTTP\/1\.1 408 [\s\S]*"code":"REQUEST_TIMEOUT","outcome":"not-applied"/)
    expect(store.rows.size).toBe(0)
  })

  test('no HTTP at all: 400', async () => {
    const { raw } = await serving(new MapStore())
    expect(await raw('*1\r\n$4\r\nPING\r\n')).toMatch(/^HTTP\/1\.1 400 [\s\S]*"code":"BAD_REQUEST"/)
  })

  test('one that goes away gives up its operation', async () => {
    const store = new ManualStore()
    const { ask } = await serving(store)
    const gone = new AbortController()
    const put = ask('/key/k', { method: 'PUT', ...inJson({ value: 'v' }), signal: gone.signal })
    await expect.poll(() => store.waiting.length).toBe(1)
    gone.abort()
    await expect(put).rejects.toThrow()
    await expect.poll(() => store.cancelled.length).toBe(1)
    expect(store.waiting).toEqual([])
  })
})

describe('requests that do not wait for answers', () => {
  test('are carried out one after the other', async () => {
    const store = new ManualStore()
    const { raw } = await serving(store)
    const answers = raw(
      `PUT /key/k HTTP/1.1\r\nHost: localhost\r\n${json('{"value":"v"}')}GET /key/k HTTP/1.1\r\nHost: localhost\r\n${CLOSE}\r\n`,
    )
    await expect.poll(() => store.waiting.length).toBe(1)
    store.answer({ kind: 'put', version: 1n })
    await expect.poll(() => store.waiting.map(({ operation }) => operation.kind)).toEqual(['get'])
    store.answer({ kind: 'get', found: true, value: Buffer.from('v'), version: 1n })
    expect(await answers).toMatch(/^HTTP\/1\.1 200 [\s\S]*"version":"1"}\nHTTP\/1\.1 200 [\s\S]*"value":"v"/)
  })

  test('any number of them is answered, in order', async () => {
    const { raw } = await serving(new MapStore())
    const count = 5000
    const requests = Array.from(
      { length: count },
      (_, index) => `GET /key/${index} HTTP/1.1\r\nHost: localhost\r\n\r\n`,
    )
    const answers = await raw(`${requests.join('')}GET /healthz HTTP/1.1\r\nHost: localhost\r\n${CLOSE}\r\n`)
    expect(answers.match(/HTTP\/1\.1 404 /g)?.length).toBe(count)
    expect(answers).toMatch(/"alive":true}\n$/)
  })

  test('what follows a refusal that ends the connection is not begun', async () => {
    const store = new MapStore()
    const { raw } = await serving(store, { limits: { ...DEFAULT_LIMITS, valueBytesMax: 10 } })
    const head = 'Host: localhost\r\nContent-Type: application/octet-stream\r\n'
    const first = `PUT /key/a HTTP/1.1\r\n${head}Content-Length: 100000\r\n\r\n`
    const second = `PUT /key/b HTTP/1.1\r\n${head}Content-Length: 1\r\n\r\nv`
    await raw(first + 'v'.repeat(100_000) + second)
    expect(store.rows.size).toBe(0)
  })

  test('garbage behind a request is no answer to it', async () => {
    const store = new ManualStore()
    const { raw } = await serving(store)
    expect(await raw('GET /key/k HTTP/1.1\r\nHost: localhost\r\n\r\nno HTTP\r\n\r\n')).toBe('')
    await expect.poll(() => store.cancelled.length).toBe(1)
  })
})

describe('the end', () => {
  test('idle connections go at once, requests in progress are answered', async () => {
    const store = new ManualStore()
    const { ask, gateway } = await serving(store)
    await ask('/healthz')
    const get = ask('/key/k')
    await expect.poll(() => store.waiting.length).toBe(1)
    const closed = gateway.close(10_000)
    await expect(ask('/healthz')).rejects.toThrow()
    store.answer({ kind: 'get', found: true, value: Buffer.from('v'), version: 1n })
    const answer = await get
    expect([answer.status, answer.headers.get('connection')]).toEqual([200, 'close'])
    await closed
  })

  test('what is not done in time is given up, and its client told what is known', async () => {
    const store = new ManualStore()
    const clock = new ManualClock()
    const { ask, gateway } = await serving(store, { clock })
    const put = ask('/key/k', { method: 'PUT', ...inJson({ value: 'v' }) })
    await expect.poll(() => store.waiting.length).toBe(1)
    const closed = gateway.close(1_000)
    clock.advance(1_000)
    const answer = await put
    expect(answer.status).toBe(503)
    expect(await answer.json()).toMatchObject({ code: 'CANCELLED', outcome: 'unknown' })
    clock.advance(1_000)
    await closed
    expect(clock.pending).toBe(0)
  })

  test('a client that does not go is cut', async () => {
    const clock = new ManualClock()
    const { gateway, url } = await serving(new MapStore(), { clock })
    const socket = connect(Number(new URL(url).port), '127.0.0.1')
    socket.on('error', () => undefined)
    socket.write('GET /heal')
    await once(socket, 'connect')
    const closed = gateway.close(1_000)
    clock.advance(1_000)
    clock.advance(1_000)
    await closed
  })
})

test('a port that is taken is one clear error', async () => {
  const { gateway } = await serving(new MapStore())
  const again = serving(new MapStore(), { port: Number(gateway.address.split(':').at(-1)) })
  await expect(again).rejects.toMatchObject({ name: 'ListenError', code: 'EADDRINUSE', message: /--http-port/ })
})

test('an address beyond this machine must be asked for by name', async () => {
  const options = {
    store: new MapStore(),
    status: () => Promise.reject(new Error()),
    control: idle(),
    host: '0.0.0.0',
    port: 0,
  }
  await expect(serveHttp(options)).rejects.toMatchObject({ code: 'NOT_LOOPBACK' })
  const gateway = await serveHttp({ ...options, insecure: true })
  await gateway.close()
})

test('requests are told of when somebody listens', async () => {
  const events: Events['request'][] = []
  const telemetry: Telemetry = {
    enabled: () => true,
    emit: (name, event) => {
      if (name === 'request') events.push(event as Events['request'])
    },
  }
  const { ask } = await serving(new MapStore(), { telemetry })
  await ask('/key/two%20words', { method: 'PUT', ...inJson({ value: 'v' }) })
  await ask('/key/k', { headers: { 'If-Match': '"1"' } })
  expect(events.map(({ operation, key, outcome }) => [operation, key, outcome])).toEqual([
    ['put', "'two words'", 'ok'],
    ['get', 'k', 'ok'],
  ])
})
