import { describe, expect, test } from 'vitest'
import { inJson, serving } from './testing/serving.js'
import { ManualStore, MapStore } from './testing/stores.js'

const put = (value: unknown, headers?: Record<string, string>) => ({ method: 'PUT', ...inJson({ value }, headers) })

describe('put, get, delete', () => {
  test.each(['/key/', '/v1/keys/'])('under %s', async (path) => {
    const { ask } = await serving(new MapStore())
    const absent = await ask(`${path}k`)
    expect([absent.status, absent.headers.get('content-type')]).toEqual([404, 'application/problem+json'])
    expect(await absent.json()).toMatchObject({ code: 'KEY_ABSENT', outcome: 'not-applied' })

    const written = await ask(`${path}k`, put('v'))
    expect([written.status, written.headers.get('etag'), await written.json()]).toEqual([200, '"1"', { version: '1' }])
    const found = await ask(`${path}k`)
    expect([found.status, found.headers.get('etag')]).toEqual([200, '"1"'])
    expect(await found.json()).toEqual({ value: 'v', version: '1' })

    expect(await (await ask(`${path}k`, { method: 'DELETE' })).json()).toEqual({ existed: true })
    expect(await (await ask(`${path}k`, { method: 'DELETE' })).json()).toEqual({ existed: false })
    expect((await ask(`${path}k`)).status).toBe(404)
  })

  test('what might be a condition and cannot be kept is refused', async () => {
    const { ask } = await serving(new MapStore())
    await ask('/key/k', put('v'))
    const inBody = { method: 'DELETE', ...inJson({ if_version: '99' }) }
    expect((await ask('/key/k', inBody)).status).toBe(400)
    const headers = { 'If-Unmodified-Since': 'Wed, 21 Oct 2015 07:28:00 GMT' }
    expect((await ask('/key/k', { method: 'DELETE', headers })).status).toBe(400)
    expect((await ask('/key/k', put('w', headers))).status).toBe(400)
    expect(await (await ask('/key/k')).json()).toEqual({ value: 'v', version: '1' })
  })

  test('append says the length', async () => {
    const { ask } = await serving(new MapStore())
    const append = (value: string) => ask('/v1/keys/log/append', { method: 'POST', ...inJson({ value }) })
    expect(await (await append('ab')).json()).toEqual({ version: '1', length: 2 })
    expect(await (await append('ż')).json()).toEqual({ version: '2', length: 4 })
  })

  test('what curl -d sends is taken for JSON, of a PUT', async () => {
    const { ask } = await serving(new MapStore())
    const form = { headers: { 'Content-Type': 'application/x-www-form-urlencoded' }, body: '{"value": "v"}' }
    expect((await ask('/key/k', { method: 'PUT', ...form })).status).toBe(200)
    expect((await ask('/key/k', { method: 'PUT', body: Buffer.from('{"value": "v"}') })).status).toBe(200)
    // A web page may post a form anywhere.
    expect((await ask('/v1/keys/k/append', { method: 'POST', ...form })).status).toBe(415)
  })
})

describe('keys', () => {
  test.each([
    ['/key/a%2Fb', 'a/b'],
    ['/key/a+b%20c', 'a+b c'],
    ['/key/%C5%BC', 'ż'],
    ['/key/100%25', '100%'],
    ['/k%65y/%61', 'a'],
    ['/key/%00', '\0'],
    ['/key/append', 'append'],
  ])('%s is %j', async (path, key) => {
    const store = new MapStore()
    const { ask } = await serving(store)
    expect((await ask(path, put('v'))).status).toBe(200)
    expect([...store.rows.keys()]).toEqual([Buffer.from(key).toString('hex')])
  })

  test('bytes that are no UTF-8; dots stay dots', async () => {
    const store = new MapStore()
    const { raw } = await serving(store)
    const body = 'Content-Length: 13\r\nContent-Type: application/json\r\n\r\n{"value":"v"}'
    for (const target of ['%ff%FE', '.', '..', '%2e%2e']) {
      const head = Buffer.from(
        `PUT /key/${target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n${body}`,
        'latin1',
      )
      expect(await raw(head)).toMatch(/^HTTP\/1.1 200 /)
    }
    expect([...store.rows.keys()]).toEqual(['fffe', '2e', '2e2e'])
  })

  test.each([
    ['/key/', 400, 'INVALID_ARGUMENT', /the key is empty/],
    [`/key/${'k'.repeat(4097)}`, 414, 'KEY_TOO_LONG', /4097 bytes; the limit is 4096/],
    ['/key/a%2', 400, 'INVALID_ARGUMENT', /%/],
    ['/key/a/b', 404, 'NO_SUCH_PATH', /./],
  ])('%.20s is %d', async (path, status, code, detail) => {
    const { ask } = await serving(new MapStore())
    const answer = await ask(path)
    expect(answer.status).toBe(status)
    expect(await answer.json()).toMatchObject({ code, status, detail: expect.stringMatching(detail) })
  })

  test('the longest key fits, each byte escaped', async () => {
    const { ask } = await serving(new MapStore())
    expect((await ask(`/key/${'%c3'.repeat(4096)}`, put('v'))).status).toBe(200)
  })
})

describe('values', () => {
  test.each(['', 'a\0b', 'żółć', '\u{10ffff}', '"\\\n'])('the text %j', async (text) => {
    const { ask } = await serving(new MapStore())
    await ask('/key/k', put(text))
    expect(await (await ask('/key/k')).json()).toMatchObject({ value: text })
  })

  test('bytes that are no UTF-8 are base64 in JSON, and themselves for who asks for bytes', async () => {
    const { ask } = await serving(new MapStore())
    const bytes = Buffer.from([0xff, 0, 0xfe])
    const raw = { 'Content-Type': 'application/octet-stream' }
    await ask('/key/k', { method: 'PUT', headers: raw, body: bytes })
    expect(await (await ask('/key/k')).json()).toMatchObject({ value: { base64: '/wD+' } })
    await ask('/key/l', put({ base64: '/wD+' }))
    const found = await ask('/key/l', { headers: { Accept: 'application/octet-stream' } })
    expect([found.headers.get('content-type'), found.headers.get('etag')]).toEqual(['application/octet-stream', '"2"'])
    expect(Buffer.from(await found.arrayBuffer())).toEqual(bytes)
    await ask('/v1/keys/l/append', { method: 'POST', headers: raw, body: Buffer.from([1]) })
    expect(await (await ask('/key/l')).json()).toMatchObject({ value: { base64: '/wD+AQ==' } })
  })

  test.each([
    ['text/html,*/*;q=0.8', 'application/json'],
    ['application/json;q=0.5, application/octet-stream', 'application/octet-stream'],
    ['application/octet-stream;q=0, */*', 'application/json'],
    ['image/png', 'application/json'],
  ])('Accept: %s', async (accept, type) => {
    const { ask } = await serving(new MapStore())
    await ask('/key/k', put('v'))
    expect((await ask('/key/k', { headers: { Accept: accept } })).headers.get('content-type')).toBe(type)
  })

  test.each([
    ['no JSON', '{"value"'],
    ['no UTF-8', Buffer.from([0x7b, 0xff])],
    ['no object', '"v"'],
    ['no value', '{}'],
    ['a number', '{"value": 1}'],
    ['one field too many', '{"value": "v", "valeu": "w"}'],
    ['no base64', '{"value": {"base64": "*"}}'],
    ['base64 without padding', '{"value": {"base64": "/w"}}'],
    ['base64 with bits that mean nothing', '{"value": {"base64": "/x=="}}'],
    ['half a character', '{"value": "\\ud800"}'],
    ['a prototype', '{"__proto__": {"value": "v"}}'],
  ])('%s is 400', async (_, body) => {
    const store = new MapStore()
    const { ask } = await serving(store)
    const answer = await ask('/key/k', { method: 'PUT', headers: { 'Content-Type': 'application/json' }, body })
    expect(answer.status).toBe(400)
    expect(await answer.json()).toMatchObject({ code: 'INVALID_ARGUMENT', outcome: 'not-applied' })
    expect(store.rows.size).toBe(0)
  })

  test.each([[{ 'Content-Type': 'text/plain' }], [{ 'Content-Type': 'application/json', 'Content-Encoding': 'gzip' }]])(
    '%j is 415',
    async (headers) => {
      const { ask } = await serving(new MapStore())
      expect((await ask('/key/k', { method: 'PUT', headers, body: '{"value": "v"}' })).status).toBe(415)
    },
  )
})

describe('conditions', () => {
  test('a PUT or DELETE of the version that was read', async () => {
    const { ask } = await serving(new MapStore())
    await ask('/key/k', put('one'))
    expect((await ask('/key/k', put('two', { 'If-Match': '"1"' }))).headers.get('etag')).toBe('"2"')
    const late = await ask('/key/k', put('three', { 'If-Match': '"1"' }))
    expect([late.status, late.headers.get('etag')]).toEqual([412, '"2"'])
    expect(await late.json()).toMatchObject({
      code: 'CONDITION_FAILED',
      detail: 'If-Match does not hold: the version is 2',
    })
    expect((await ask('/key/k', { method: 'DELETE', headers: { 'If-Match': '"1"' } })).status).toBe(412)
    expect((await ask('/key/k', { method: 'DELETE', headers: { 'If-Match': '"2"' } })).status).toBe(200)
  })

  test('a PUT of a key that is absent: 201', async () => {
    const { ask } = await serving(new MapStore())
    expect((await ask('/key/k', put('v', { 'If-None-Match': '*' }))).status).toBe(201)
    const again = await ask('/key/k', put('w', { 'If-None-Match': '*' }))
    expect([again.status, again.headers.get('etag')]).toEqual([412, '"1"'])
  })

  test.each(['W/"1"', '"0"', '"01"', '"x"', '"99999999999999999999"'])('If-Match: %s matches nothing', async (tag) => {
    const store = new MapStore()
    const { ask } = await serving(store)
    expect((await ask('/key/absent', put('v', { 'If-Match': tag }))).status).toBe(412)
    await ask('/key/k', put('v'))
    expect((await ask('/key/k', put('w', { 'If-Match': tag }))).status).toBe(412)
    expect(store.rows.size).toBe(1)
  })

  test('a version and absence together hold for no key', async () => {
    const { ask } = await serving(new MapStore())
    const both = { 'If-Match': '"1"', 'If-None-Match': '*' }
    expect((await ask('/key/k', put('v', both))).status).toBe(412)
    await ask('/key/k', put('v'))
    expect((await ask('/key/k', put('w', both))).status).toBe(412)
  })

  test.each([
    ['PUT', { 'If-Match': '*' }],
    ['PUT', { 'If-Match': '"1", "2"' }],
    ['PUT', { 'If-Match': '1' }],
    ['PUT', { 'If-None-Match': '"1"' }],
    ['DELETE', { 'If-Match': '*' }],
    ['PUT', { 'Idempotency-Key': 'x' }],
    ['DELETE', { 'Idempotency-Key': 'x' }],
  ])('%s with %j cannot be kept: 400', async (method, headers) => {
    const store = new MapStore()
    const { ask } = await serving(store)
    await ask('/key/k', put('v'))
    const init = method === 'PUT' ? put('w', headers) : { method, headers }
    expect((await ask('/key/k', init)).status).toBe(400)
    expect(store.rows.get('6b')?.version).toBe(1n)
  })

  test.each(['If-Match', 'If-None-Match', 'Idempotency-Key'])('an append takes no %s', async (name) => {
    const { ask } = await serving(new MapStore())
    const answer = await ask('/v1/keys/k/append', { method: 'POST', ...inJson({ value: 'v' }, { [name]: '*' }) })
    expect(answer.status).toBe(400)
  })

  test.each([
    [{ 'If-None-Match': '"1"' }, 304],
    [{ 'If-None-Match': 'W/"1"' }, 304],
    [{ 'If-None-Match': '"7,", "1"' }, 304],
    [{ 'If-None-Match': '*' }, 304],
    [{ 'If-None-Match': '"2"' }, 200],
    [{ 'If-None-Match': '1' }, 400],
    [{ 'If-None-Match': '' }, 400],
    [{ 'If-Match': '"1"' }, 200],
    [{ 'If-Match': '*' }, 200],
    [{ 'If-Match': 'W/"1"' }, 412],
    [{ 'If-Match': '"2"' }, 412],
  ])('a GET with %j: %d', async (headers, status) => {
    const { ask } = await serving(new MapStore())
    await ask('/key/k', put('v'))
    expect((await ask('/key/k', { headers })).status).toBe(status)
  })

  test('a GET with a condition that is none is refused before the key is read', async () => {
    const { ask } = await serving(new ManualStore())
    expect((await ask('/key/absent', { headers: { 'If-None-Match': 'true' } })).status).toBe(400)
  })
})

describe('the query', () => {
  test('deadline and bound reach the Store', async () => {
    const store = new ManualStore()
    const { ask } = await serving(store)
    const get = ask('/key/k?timeout_ms=250&stale_ms=40')
    await expect.poll(() => store.waiting.length).toBe(1)
    expect(store.waiting[0]).toMatchObject({ deadlineMs: 250, operation: { kind: 'get', staleMs: 40 } })
    store.answer({ kind: 'get', found: false, value: Buffer.alloc(0), version: 0n })
    await get
    const remove = ask('/key/k', { method: 'DELETE' })
    await expect.poll(() => store.waiting.length).toBe(1)
    expect(store.waiting[0]?.deadlineMs).toBe(5000)
    store.answer({ kind: 'delete', existed: false })
    await remove
  })

  test.each([
    'timeout_ms=0',
    'timeout_ms=1.5',
    'timeout_ms=',
    'timeout_ms=99999999',
    'timeoutMs=5',
    'stale_ms=-1',
    'a',
    'timeout_ms=5&timeout_ms=6',
    '__proto__=1',
  ])('?%s is 400', async (query) => {
    const { ask } = await serving(new MapStore())
    expect((await ask(`/key/k?${query}`)).status).toBe(400)
  })
})
