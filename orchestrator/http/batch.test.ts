import { expect, test } from 'vitest'
import { DEFAULT_LIMITS } from '../core/limits.js'
import { UnavailableError } from '../errors/index.js'
import { BatchAnswer } from './schemas.js'
import { inJson, serving } from './testing/serving.js'
import { ManualStore, MapStore } from './testing/stores.js'

const batch = (operations: unknown) => ({ method: 'POST', ...inJson({ operations }) })

test('each operation has its own result, in its own place', async () => {
  const { ask } = await serving(new MapStore())
  const first = await ask(
    '/v1/batch',
    batch([
      { op: 'put', key: 'a', value: 'x' },
      { op: 'put', key: { base64: '/w==' }, value: { base64: '/g==' } },
      { op: 'append', key: '..', value: 'yz' },
      { op: 'put', key: 'a', value: 'late', if_version: '0' },
      { op: 'delete', key: 'gone' },
      { op: 'put', key: '\ud800', value: 'v' },
    ]),
  )
  const answer = await first.json()
  expect(BatchAnswer.parse(answer)).toEqual(answer)
  expect(answer).toMatchObject({
    results: [
      { version: '1' },
      { version: '2' },
      { version: '3', length: 2 },
      { error: { status: 409, code: 'PRECONDITION_FAILED', version: '1' } },
      { existed: false },
      { error: { status: 400, code: 'INVALID_ARGUMENT' } },
    ],
  })
  const second = await ask(
    '/v1/batch',
    batch([
      { op: 'get', key: 'a' },
      { op: 'get', key: 'none' },
      { op: 'get', key: { base64: '/w==' } },
    ]),
  )
  expect(await second.json()).toEqual({
    results: [
      { found: true, value: 'x', version: '1' },
      { found: false },
      { found: true, value: { base64: '/g==' }, version: '2' },
    ],
  })
})

test('they are carried out at the same time; a failure is one operation’s', async () => {
  const store = new ManualStore()
  const { ask } = await serving(store)
  const answer = ask('/v1/batch?timeout_ms=70', batch(['a', 'b'].map((key) => ({ op: 'put', key, value: 'v' }))))
  await expect.poll(() => store.waiting.length).toBe(2)
  expect(store.waiting.map(({ deadlineMs }) => deadlineMs)).toEqual([70, 70])
  store.fail(new UnavailableError('the leader went away', { outcome: 'unknown' }))
  store.answer({ kind: 'put', version: 5n })
  expect(await (await answer).json()).toMatchObject({
    results: [{ error: { code: 'UNAVAILABLE', outcome: 'unknown' } }, { version: '5' }],
  })
})

test('values that do not fit into the answer are to be asked for again, but never all of them', async () => {
  const { ask } = await serving(new MapStore(), { limits: { ...DEFAULT_LIMITS, batchBytesMax: 1000 } })
  for (const key of ['a', 'b', 'c']) {
    await ask(`/key/${key}`, { method: 'PUT', ...inJson({ value: 'v'.repeat(key === 'a' ? 2000 : 600) }) })
  }
  const gets = (keys: string[]) => ask('/v1/batch', batch(keys.map((key) => ({ op: 'get', key }))))
  const full = { error: expect.objectContaining({ code: 'OVERLOADED', outcome: 'not-applied', retry_after_ms: 10 }) }
  const found = expect.objectContaining({ found: true })
  expect(await (await gets(['a', 'b', 'c'])).json()).toEqual({ results: [found, full, full] })
  expect(await (await gets(['b', 'c', 'none'])).json()).toEqual({ results: [found, full, { found: false }] })
})

test.each([
  ['too many operations', 413, Array.from({ length: 4097 }, () => ({ op: 'get', key: 'a' }))],
  ['too many of anything', 413, Array.from({ length: 100_000 }, () => 1)],
  ['no list', 400, 'operations'],
  ['an unknown one', 400, [{ op: 'scan', key: 'a' }]],
  ['a misspelt field', 400, [{ op: 'put', key: 'a', value: 'v', ifVersion: '1' }]],
  ['a version that is a fraction', 400, [{ op: 'put', key: 'a', value: 'v', if_version: 1.5 }]],
])('%s: %d, and nothing is done', async (_, status, operations) => {
  const store = new MapStore()
  const { ask } = await serving(store)
  expect((await ask('/v1/batch', batch(operations))).status).toBe(status)
  expect(store.rows.size).toBe(0)
})
