import { expect, test } from 'vitest'
import { TTL_MS_MAX } from '../core/operation.js'
import { inJson, serving } from './testing/serving.js'
import { MapStore } from './testing/stores.js'

const post = (value: unknown) => ({ method: 'POST', ...inJson(value) })

test('a put for a time, and how long a key lives', async () => {
  const { ask } = await serving(new MapStore())
  const put = (query: string) => ask(`/key/k${query}`, { method: 'PUT', ...inJson({ value: 'v' }) })
  const ttl = async () => (await ask('/v1/keys/k/ttl')).json()
  expect((await ask('/v1/keys/k/ttl')).status).toBe(404)
  expect((await put('?ttl_ms=30000')).status).toBe(200)
  expect(await ttl()).toEqual({ ttl_ms: 30_000 })
  expect(await (await ask('/key/k')).json()).toEqual({ value: 'v', version: '1', ttl_ms: 30_000 })
  expect((await put('')).status).toBe(200)
  expect(await ttl()).toEqual({ ttl_ms: null })
  expect(await (await ask('/key/k')).json()).toEqual({ value: 'v', version: '2' })
  expect((await put(`?ttl_ms=${TTL_MS_MAX}`)).status).toBe(200)
  for (const bad of ['0', '-1', '1.5', 'x', '', String(TTL_MS_MAX + 1)]) {
    expect((await put(`?ttl_ms=${bad}`)).status).toBe(400)
  }
})

test('touch', async () => {
  const store = new MapStore()
  const { ask } = await serving(store)
  const touch = (ttl_ms: unknown) => ask('/v1/keys/k/touch', post({ ttl_ms }))
  expect(await (await touch(5)).json()).toEqual({ existed: false })
  await ask('/key/k', { method: 'PUT', ...inJson({ value: 'v' }) })
  expect(await (await touch(5)).json()).toEqual({ existed: true })
  expect([...store.ttls.values()]).toEqual([5])
  expect(await (await touch(null)).json()).toEqual({ existed: true })
  expect(store.ttls.size).toBe(0)
  for (const bad of [0, 1.5, '5', TTL_MS_MAX + 1]) expect((await touch(bad)).status).toBe(400)
  expect((await ask('/v1/keys/k/touch', post({}))).status).toBe(400)
})

test('in a batch', async () => {
  const { ask } = await serving(new MapStore())
  const run = async (operations: unknown[]) => (await ask('/v1/batch', post({ operations }))).json()
  await run([{ op: 'put', key: 'k', value: 'v', ttl_ms: 70 }])
  const asked = [
    { op: 'ttl-of', key: 'k' },
    { op: 'ttl-of', key: 'absent' },
    { op: 'get', key: 'k' },
    { op: 'touch', key: 'absent', ttl_ms: 5 },
  ]
  expect(await run(asked)).toEqual({
    results: [
      { found: true, ttl_ms: 70 },
      { found: false },
      { found: true, value: 'v', version: '1', ttl_ms: 70 },
      { existed: false },
    ],
  })
  await run([{ op: 'touch', key: 'k', ttl_ms: null }])
  expect(await run([{ op: 'ttl-of', key: 'k' }])).toEqual({ results: [{ found: true, ttl_ms: null }] })
})
