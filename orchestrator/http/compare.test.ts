import { expect, test } from 'vitest'
import { DEFAULT_LIMITS } from '../core/limits.js'
import { NotANumberError, OverflowError } from '../errors/index.js'
import { inJson, serving } from './testing/serving.js'
import { ManualStore, MapStore } from './testing/stores.js'

const post = (value: unknown) => ({ method: 'POST', ...inJson(value) })

test('compare-and-set: from absent, from the value, and not from another', async () => {
  const { ask } = await serving(new MapStore())
  const set = (expected: unknown, value: unknown) => ask('/v1/keys/k/compare-and-set', post({ expected, value }))
  expect((await set('a', 'b')).status).toBe(409)
  expect(await (await set(null, 'a')).json()).toEqual({ version: '1' })
  expect((await set({ base64: 'YQ==' }, 'b')).headers.get('etag')).toBe('"2"')
  const late = await set('a', 'c')
  expect(await late.json()).toMatchObject({ status: 409, code: 'PRECONDITION_FAILED', version: '2' })
  expect((await ask('/v1/keys/k/compare-and-set', post({ value: 'c' }))).status).toBe(400)
})

test('increment, by numbers and by texts', async () => {
  const { ask } = await serving(new MapStore())
  const add = (by: unknown) => ask('/v1/keys/n/increment', post({ by }))
  expect(await (await add(5)).json()).toEqual({ value: '5', version: '1' })
  expect(await (await add('-900000000000000000')).json()).toEqual({ value: '-899999999999999995', version: '2' })
  for (const by of [1.5, 2 ** 53, '1e3', '', '01', null]) expect((await add(by)).status).toBe(400)
})

test.each([NotANumberError, OverflowError])('what the value does not allow: 409', async (Fault) => {
  const store = new ManualStore()
  const { ask } = await serving(store)
  const answer = ask('/v1/keys/n/increment', post({ by: 1 }))
  await expect.poll(() => store.waiting.length).toBe(1)
  store.fail(new Fault('no', { outcome: 'not-applied', version: 4n }))
  expect(await (await answer).json()).toMatchObject({
    status: 409,
    version: '4',
    advice: expect.stringContaining('GET the key'),
  })
})

test('a write gives back what it replaced', async () => {
  const { ask } = await serving(new MapStore())
  const put = (value: string, query = '?return_previous=true') =>
    ask(`/key/k${query}`, { method: 'PUT', ...inJson({ value }) })
  expect(await (await put('a')).json()).toEqual({ version: '1' })
  expect(await (await put('b')).json()).toEqual({ version: '2', previous: { value: 'a', version: '1' } })
  expect(await (await put('c', '?return_previous=false')).json()).toEqual({ version: '3' })
  const gone = await ask('/key/k?return_previous=true', { method: 'DELETE' })
  expect(await gone.json()).toEqual({ existed: true, previous: { value: 'c', version: '3' } })
})

test('in a batch, and only as much is given back as has room: a write for which there is none is not done', async () => {
  const store = new MapStore()
  const { ask } = await serving(store, { limits: { ...DEFAULT_LIMITS, batchBytesMax: 40_000 } })
  const operations = [
    { op: 'compare-and-set', key: 'k', expected: null, value: 'v' },
    { op: 'increment', key: 'n', by: 2 },
    ...['a', 'b', 'c'].map((key) => ({ op: 'put', key, value: 'v', return_previous: true })),
  ]
  expect(await (await ask('/v1/batch', post({ operations }))).json()).toEqual({
    results: [
      { version: '1' },
      { value: '2', version: '2' },
      { version: '3' },
      { version: '4' },
      { error: expect.objectContaining({ code: 'OVERLOADED', outcome: 'not-applied' }) },
    ],
  })
  expect(store.rows.size).toBe(4)
})

test('a write that is to give something back is refused before it is done when there is no room', async () => {
  const store = new MapStore()
  const { ask } = await serving(store, { limits: { ...DEFAULT_LIMITS, inFlightBytesMax: 1000 } })
  const put = (query: string) => ask(`/key/k${query}`, { method: 'PUT', ...inJson({ value: 'v' }) })
  expect((await put('?return_previous=true')).status).toBe(429)
  expect(store.rows.size).toBe(0)
  expect((await put('')).status).toBe(200)
})
