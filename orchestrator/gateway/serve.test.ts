import { afterEach, describe, expect, test } from 'vitest'
import { MapCell } from '../core/map-source.js'
import { OverloadedError, UnavailableError } from '../errors/index.js'
import type { Events, Telemetry } from '../telemetry/index.js'
import { Channel } from '../wire/channel.js'
import { KVStoreService } from '../wire/gen/kvstore.js'
import { KvUnary } from '../wire/kv-unary.js'
import type { OperationStore } from './context.js'
import { serveGateway } from './index.js'
import { smallMap } from './testing/context.js'
import { ManualStore, MapStore } from './testing/manual-store.js'

const open: (() => unknown)[] = []
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close()
})

async function serve(store: OperationStore, telemetry?: Telemetry) {
  const maps = new MapCell(smallMap(1n))
  const gateway = await serveGateway({ store, maps, host: '127.0.0.1', port: 0, telemetry })
  const kv = new KvUnary(gateway.address)
  const channel = new Channel(gateway.address)
  open.push(
    () => gateway.close(),
    () => kv.close(),
    () => channel.close(),
  )
  const compat = {
    get: (Data: string) => channel.unary(KVStoreService.get, { Data }, 'read', 5000),
    put: (Key: string, Value: string) => channel.unary(KVStoreService.put, { Key, Value }, 'write', 5000),
    delete: (Data: string) => channel.unary(KVStoreService.delete, { Data }, 'write', 5000),
  }
  return { gateway, kv, compat, maps }
}

const bytes = (text: string): Buffer => Buffer.from(text)
const soon = { deadlineMs: 5000 }

describe('the compat service', () => {
  test('put, get, delete; absent is no failure', async () => {
    const { compat } = await serve(new MapStore())
    expect(await compat.get('k')).toEqual({ Success: true, Exists: false, Data: '' })
    expect(await compat.put('k', 'v')).toEqual({ Success: true, Error: '' })
    expect(await compat.get('k')).toEqual({ Success: true, Exists: true, Data: 'v' })
    expect(await compat.delete('k')).toEqual({ Success: true, Error: '' })
    expect(await compat.delete('k')).toEqual({ Success: true, Error: '' })
    expect(await compat.get('k')).toEqual({ Success: true, Exists: false, Data: '' })
  })

  test('empty values, NUL and any Unicode', async () => {
    const { compat } = await serve(new MapStore())
    for (const text of ['', '\0', 'a\0b', 'żółć', '日本', '👩‍👩‍👧', '\u{10ffff}']) {
      await compat.put(`k${text}`, text)
      expect(await compat.get(`k${text}`)).toEqual({ Success: true, Exists: true, Data: text })
    }
  })

  test('failures travel in the answer, with code and outcome', async () => {
    const store = new ManualStore()
    const { compat } = await serve(store)
    const put = compat.put('k', 'v')
    await expect.poll(() => store.waiting.length).toBe(1)
    store.fail(new UnavailableError('the leader went away', { outcome: 'unknown' }))
    expect(await put).toEqual({ Success: false, Error: 'UNAVAILABLE: the leader went away (unknown)' })
    const get = compat.get('k')
    await expect.poll(() => store.waiting.length).toBe(1)
    store.fail(new UnavailableError('no leader', { outcome: 'not-applied' }))
    expect(await get).toEqual({ Success: false, Exists: false, Data: 'UNAVAILABLE: no leader (not-applied)' })
  })

  test('a value that is no text is a failure, never a wrong text', async () => {
    const { compat, kv } = await serve(new MapStore())
    await kv.put(bytes('k'), Buffer.from([0xff, 0xfe]), soon)
    expect(await compat.get('k')).toMatchObject({ Success: false, Exists: true })
  })
})

describe('kvorum.v1', () => {
  test('get, put and delete with versions', async () => {
    const { kv } = await serve(new MapStore())
    expect(await kv.put(bytes('k'), bytes('v'), soon)).toEqual({ version: 1n })
    expect(await kv.get(bytes('k'), soon)).toMatchObject({ found: true, version: 1n })
    expect(await kv.delete(bytes('k'), soon)).toEqual({ existed: true })
    expect(await kv.get(bytes('k'), soon)).toMatchObject({ found: false, version: 0n })
  })

  test('an error arrives whole', async () => {
    const store = new ManualStore()
    const { kv } = await serve(store)
    const put = kv.put(bytes('k'), bytes('v'), soon)
    await expect.poll(() => store.waiting.length).toBe(1)
    store.fail(new OverloadedError('full', { outcome: 'not-applied', retryAfterMs: 7, shard: 2 }))
    await expect(put).rejects.toMatchObject({ code: 'OVERLOADED', outcome: 'not-applied', retryAfterMs: 7, shard: 2 })
  })

  test('the client’s deadline reaches the Store', async () => {
    const store = new ManualStore()
    const { kv } = await serve(store)
    const get = kv.get(bytes('k'), { deadlineMs: 3000 })
    await expect.poll(() => store.waiting.length).toBe(1)
    expect(store.waiting[0]?.deadlineMs).toBeGreaterThan(1000)
    expect(store.waiting[0]?.deadlineMs).toBeLessThanOrEqual(3000)
    store.answer({ kind: 'get', found: false, value: Buffer.alloc(0), version: 0n })
    await get
  })

  test('the cluster map comes now and again when it changes', async () => {
    const { kv, maps } = await serve(new MapStore())
    const stop = new AbortController()
    open.push(() => stop.abort())
    const received = kv.clusterMap(stop.signal)
    expect((await received.next()).value.epoch).toBe(1n)
    maps.publish(smallMap(2n))
    expect((await received.next()).value.epoch).toBe(2n)
  })
})

test('requests are told of when somebody listens', async () => {
  const events: Events['request'][] = []
  const telemetry: Telemetry = {
    enabled: () => true,
    emit: (name, event) => {
      if (name === 'request') events.push(event as Events['request'])
    },
  }
  const { kv, compat } = await serve(new MapStore(), telemetry)
  await kv.put(bytes('k'), bytes('v'), soon)
  await kv.get(Buffer.from([0xff]), soon)
  await compat.get('k'.repeat(100))
  await compat.delete('two words')
  expect(events.map(({ operation, key, outcome }) => [operation, key, outcome])).toEqual([
    ['put', 'k', 'ok'],
    ['get', '0xff', 'ok'],
    ['get', `${'k'.repeat(64)}...`, 'ok'],
    ['delete', "'two words'", 'ok'],
  ])
})

test('a port that is taken is one clear error', async () => {
  const { gateway } = await serve(new MapStore())
  const port = Number(gateway.address.split(':').at(-1))
  const again = serveGateway({ store: new MapStore(), maps: new MapCell(smallMap(1n)), host: '127.0.0.1', port })
  await expect(again).rejects.toMatchObject({ name: 'ListenError', code: 'EADDRINUSE' })
})
