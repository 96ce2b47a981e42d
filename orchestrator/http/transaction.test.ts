import { expect, test } from 'vitest'
import { NotANumberError } from '../errors/index.js'
import { inJson, serving } from './testing/serving.js'
import { ManualStore, MapStore } from './testing/stores.js'

const post = (value: unknown) => ({ method: 'POST', ...inJson(value) })

test('the branch that runs, and what its operations came to', async () => {
  const { ask } = await serving(new MapStore())
  const transaction = {
    if: [
      { key: '{u}n', comparison: '!=', version: 0 },
      { key: { base64: 'e3V9aw==' }, comparison: '==', value: 'v' },
      { key: '{u}none', comparison: '==', exists: false },
    ],
    then: [
      { op: 'increment', key: '{u}n', by: '-2' },
      { op: 'append', key: '{u}k', value: 'w' },
      { op: 'get', key: '{u}k' },
      { op: 'delete', key: '{u}k' },
    ],
    else: [
      { op: 'put', key: '{u}n', value: '5', if_version: '0' },
      { op: 'put', key: '{u}k', value: 'v' },
      { op: 'get', key: '{u}none' },
    ],
  }
  const first = await ask('/v1/txn', post(transaction))
  expect(first.status).toBe(200)
  expect(await first.json()).toEqual({
    succeeded: false,
    results: [{ version: '1' }, { version: '2' }, { found: false }],
  })
  expect(await (await ask('/v1/txn', post(transaction))).json()).toEqual({
    succeeded: true,
    results: [
      { value: '3', version: '3' },
      { version: '4', length: 2 },
      { found: true, value: 'vw', version: '4' },
      { existed: true },
    ],
  })
})

test.each([
  [{ then: [{ op: 'compare-and-set', key: 'k', expected: null, value: 'v' }] }],
  [{ then: [{ op: 'put', key: 'k' }] }],
  [{ if: [{ key: 'k', comparison: '<', value: 'v' }] }],
  [{ if: [{ key: 'k', comparison: '==', version: '1', value: 'v' }] }],
  [{ if: [{ key: 'k', comparison: '==', version: 1.5 }] }],
  [{ unless: [] }],
  [[]],
])('no transaction: %j', async (body) => {
  const { ask } = await serving(new MapStore())
  expect((await ask('/v1/txn', post(body))).status).toBe(400)
})

test('too many operations are not looked at one by one', async () => {
  const { ask } = await serving(new MapStore())
  const answer = await ask('/v1/txn', post({ then: Array.from({ length: 129 }, () => 'x') }))
  expect(await answer.json()).toMatchObject({ status: 413, code: 'TOO_LARGE' })
})

test('the operation that failed it is named', async () => {
  const store = new ManualStore()
  const { ask } = await serving(store)
  const answer = ask('/v1/txn', post({ then: [{ op: 'increment', key: 'n', by: 1 }] }))
  await expect.poll(() => store.waiting.length).toBe(1)
  store.fail(new NotANumberError('no', { outcome: 'not-applied', version: 4n, operation: 1 }))
  expect(await (await answer).json()).toMatchObject({ status: 409, version: '4', operation: 1 })
})
