// The contract of protos/kvstore.proto against a real server, through a client that knows nothing but that file.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Cluster } from '../harness/cluster.js'
import { CompatClient } from './client.js'

let cluster: Cluster
let client: CompatClient
beforeAll(async () => {
  cluster = await Cluster.start({ shards: 2, replicas: 1 })
  client = new CompatClient(cluster.address)
})
afterAll(async () => {
  client?.close()
  await cluster?.dispose()
})

const DONE = { success: true, error: '' }
const ABSENT = { success: true, exists: false, data: '' }

test('an absent key is no failure, and deleting it succeeds', async () => {
  expect(await client.getRaw('absent')).toEqual(ABSENT)
  expect(await client.deleteRaw('absent')).toEqual(DONE)
})

test('put, overwrite, delete', async () => {
  expect(await client.putRaw('k', 'one')).toEqual(DONE)
  expect(await client.putRaw('k', 'two')).toEqual(DONE)
  expect(await client.getRaw('k')).toEqual({ success: true, exists: true, data: 'two' })
  expect(await client.deleteRaw('k')).toEqual(DONE)
  expect(await client.getRaw('k')).toEqual(ABSENT)
})

test('an empty value exists', async () => {
  expect(await client.putRaw('empty', '')).toEqual(DONE)
  expect(await client.getRaw('empty')).toEqual({ success: true, exists: true, data: '' })
})

test('any Unicode, NUL included, as key and as value', async () => {
  for (const text of ['\0', 'a\0b', ' ', '\n', 'żółć', '日本語', '👩‍👩‍👧', '\u{10ffff}', '{tag}x', '}{']) {
    expect(await client.putRaw(text, text)).toEqual(DONE)
    expect(await client.getRaw(text)).toEqual({ success: true, exists: true, data: text })
  }
})

test('the longest key and a value of 1 MiB', async () => {
  const key = 'k'.repeat(4096)
  const value = 'v'.repeat(1 << 20)
  expect(await client.putRaw(key, value)).toEqual(DONE)
  expect((await client.getRaw(key)).data).toBe(value)
})

test('what is over a limit fails in the answer, and says what the limit is', async () => {
  for (const [key, value] of [
    ['', 'v'],
    ['k'.repeat(4097), 'v'],
    ['k', 'v'.repeat((1 << 20) + 1)],
  ] as const) {
    const answer = await client.putRaw(key, value)
    expect(answer.success).toBe(false)
    expect(answer.error).toMatch(/key|value/)
  }
  expect(await client.getRaw('')).toMatchObject({ success: false })
  expect(await client.deleteRaw('')).toMatchObject({ success: false })
})
