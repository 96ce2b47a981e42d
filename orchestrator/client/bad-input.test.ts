import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { DeadlineExceededError } from '../errors/index.js'
import { KvClient } from './kv-client.js'
import { RequestWrapper } from './request-wrapper.js'
import { FakeCluster } from './testing/fake-cluster.js'

// What a program in JavaScript gives, where TypeScript would have said no: each is a TypeError that says what to give instead.

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function setUp() {
  const cluster = await FakeCluster.start({})
  cleanups.push(() => cluster.close())
  const kv = await KvClient.connect({ endpoints: [cluster.gateway.address] })
  cleanups.push(() => kv.close({ drainMs: 0 }))
  const wrapper = new RequestWrapper(cluster.gateway.address)
  cleanups.push(() => wrapper.close())
  return { kv, wrapper, cluster }
}

/** Any call, with anything. */
type Loose = Readonly<Record<string, (...given: readonly unknown[]) => Promise<unknown>>>

const NO_VERSION = 'ifVersion must be a version as answers have it, a bigint like 12n (0n: absent), not'

describe('KvClient', () => {
  test('a scan and a watch', async () => {
    const { kv } = await setUp()
    const loose = kv as unknown as Readonly<Record<string, (...given: readonly unknown[]) => unknown>>
    for (const [call, given, says] of [
      ['scan', [{ cursor: null }], 'cursor must be a string, not null'],
      ['scan', [{ prefx: 'a' }], 'scan has no option "prefx": prefix is meant, perhaps'],
      ['watch', [{ prefix: 'a' }, { from: 5 }], 'from must be a string, not the number 5'],
      ['watch', [], 'a watch is of a key or of a prefix, as in watch({ prefix: "user:" })'],
      ['watch', [{ prefix: 'a' }, { form: 'x' }], 'watch has no option "form": it has from, progress, signal'],
    ] as const) {
      expect(() => loose[call]?.apply(kv, [...given]), says).toThrow(new TypeError(says))
    }
  })

  test.each<[string, readonly unknown[], string]>([
    ['get', [], 'the key must be a string or a Uint8Array, not undefined'],
    ['get', [null], 'the key must be a string or a Uint8Array, not null'],
    ['get', [5], 'the key must be a string or a Uint8Array, not the number 5'],
    ['get', [['k']], 'the key must be a string or a Uint8Array, not an Array'],
    ['get', [new ArrayBuffer(1)], 'the key must be a string or a Uint8Array, not an ArrayBuffer'],
    ['put', ['k'], 'the value must be a string or a Uint8Array, not undefined'],
    ['put', ['k', { a: 1 }], 'the value must be a string or a Uint8Array, not an object'],
    ['append', ['k', null], 'the value must be a string or a Uint8Array, not null'],
    ['compareAndSet', ['k', undefined, 'v'], 'the expected value must be a string or a Uint8Array, not undefined'],
    ['put', ['k', 'v', { ifVersion: 3 }], `${NO_VERSION} the number 3`],
    ['put', ['k', 'v', { ifVersion: '3' }], `${NO_VERSION} "3"`],
    ['put', ['k', 'v', { ifVersion: -1n }], `${NO_VERSION} the bigint -1n`],
    ['delete', ['k', { ifVersion: Number.NaN }], `${NO_VERSION} NaN`],
    ['delete', ['k', { ifVersion: 2n ** 64n }], `${NO_VERSION} the bigint 18446744073709551616n`],
    ['put', ['k', 'v', { ifAbsent: 'yes' }], 'ifAbsent must be true or false, not "yes"'],
    ['put', ['k', 'v', { returnPrevious: 1 }], 'returnPrevious must be true or false, not the number 1'],
    ['put', ['k', 'v', { ifversion: 3n }], 'put has no option "ifversion": ifVersion is meant, perhaps'],
    ['put', ['k', 'v', { deadline: 5 }], 'put has no option "deadline": deadlineMs is meant, perhaps'],
    ['get', ['k', { ifVersion: 3n }], 'get has no option "ifVersion": it has deadlineMs, signal, staleMs'],
    ['put', ['k', 'v', 5], 'the options of put must be an object, not the number 5'],
    ['put', ['k', 'v', null], 'the options of put must be an object, not null'],
    ['get', ['k', { staleMs: -1 }], 'staleMs must be a whole number of ms up to 86400000, not the number -1'],
    ['get', ['k', { deadlineMs: Number.NaN }], 'deadlineMs must be a number of ms, not NaN'],
    ['get', ['k', { deadlineMs: '5' }], 'deadlineMs must be a number of ms, not "5"'],
    ['get', ['k', { signal: {} }], 'signal must be an AbortSignal, not an object'],
    ['increment', ['k', 1], 'what is added must be a bigint, and an int64, like 5n or -5n, not the number 1'],
    [
      'increment',
      ['k', { deadlineMs: 5 }],
      'what is added must be a bigint, and an int64, like 5n or -5n, not an object',
    ],
  ])('%s %o: %s', async (call, given, says) => {
    const { kv } = await setUp()
    const asked = (kv as unknown as Loose)[call]?.apply(kv, [...given])
    await expect(asked).rejects.toThrow(new TypeError(says))
  })

  test.each<[unknown, string]>([
    [undefined, 'KvClient.connect takes an object, like { endpoints: ["localhost:7000"] }, not undefined'],
    [
      'localhost:7000',
      'KvClient.connect takes an object, like { endpoints: ["localhost:7000"] }, not "localhost:7000"',
    ],
    [{ endpoint: ['a:1'] }, 'KvClient.connect has no option "endpoint": endpoints is meant, perhaps'],
    [{ endpoints: 'a:1' }, 'endpoints must be a list of gateways, like { endpoints: ["localhost:7000"] }, not "a:1"'],
    [{ endpoints: ['a:1'], mode: 'fast' }, 'the mode must be one of auto, direct, gateway, not "fast"'],
    [{ endpoints: ['a:1'], deadlineMs: Number.NaN }, 'deadlineMs must be a number of ms above 0, not NaN'],
    [{ endpoints: ['a:1'], inFlightBytesMax: -1 }, 'inFlightBytesMax must be a positive number, not the number -1'],
    [{ endpoints: ['a:1'], signal: 1 }, 'signal must be an AbortSignal, not the number 1'],
  ])('connect %o: %s', async (options, says) => {
    await expect(KvClient.connect(options as never)).rejects.toThrow(new TypeError(says))
  })

  test('a batch says it at once, and of `run` when it is run', async () => {
    const { kv, cluster } = await setUp()
    const batch = () => kv.batch() as unknown as Readonly<Record<string, (...given: readonly unknown[]) => unknown>>
    expect(() => batch().get?.('k', { stale: 5 })).toThrow(
      'get of a batch has no option "stale": staleMs is meant, perhaps',
    )
    expect(() => batch().put?.('k', 'v', { ifAbsnt: true })).toThrow('ifAbsent is meant, perhaps')
    expect(() => batch().delete?.('k', { signal: 1 })).toThrow('it has ifVersion, returnPrevious')
    await expect(
      kv
        .batch()
        .get('k')
        .run({ deadlin: 5 } as never),
    ).rejects.toThrow('deadlineMs is meant, perhaps')
    expect(() => kv.close({ drainMs: Number.NaN })).toThrow('drainMs must be a number of ms from 0 on, not NaN')
    expect(cluster.writes).toBe(0)
  })
})

describe('RequestWrapper', () => {
  test.each<[string, readonly unknown[], string]>([
    ['get', [], 'the key must be a string, not undefined'],
    ['put', ['k', new Uint8Array(1)], 'the value must be a string, not a Uint8Array'],
    [
      'put',
      ['k', 'v', { ifVersion: 3n }],
      'put of a RequestWrapper has no option "ifVersion": it has deadlineMs, signal, ttlMs',
    ],
    ['get', ['k', { staleMS: 3 }], 'get has no option "staleMS": staleMs is meant, perhaps'],
    ['delete', ['k', true], 'the options of delete of a RequestWrapper must be an object, not true'],
  ])('%s %o: %s', async (call, given, says) => {
    const { wrapper } = await setUp()
    const asked = (wrapper as unknown as Loose)[call]?.apply(wrapper, [...given])
    await expect(asked).rejects.toThrow(new TypeError(says))
  })

  test.each<[readonly unknown[], string]>([
    [[], 'the address must be host:port, like "localhost:7000", not undefined'],
    [[7000], 'the address must be host:port, like "localhost:7000", not the number 7000'],
    [[[]], 'a client needs the address of a gateway'],
    [['http://localhost:7000'], 'the address must be host:port, like "localhost:7000", not "http://localhost:7000"'],
    [['a:1', { deadlineMs: Number.NaN }], 'deadlineMs must be a number of ms above 0, not NaN'],
    [['a:1', { timeout: 5 }], 'RequestWrapper has no option "timeout": it has deadlineMs'],
  ])('made with %o: %s', (given, says) => {
    const make = () => new RequestWrapper(...(given as [never, never]))
    expect(make).toThrow(TypeError)
    expect(make).toThrow(says)
  })
})

test('a deadline that passed at another one first is told once, by whom it was told, and may be tried again', async () => {
  const { kv, cluster } = await setUp()
  const theirs = 'get reached its deadline of 90 ms: asked 7 times; waited 80 ms for a leader or to ask again'
  cluster.leader.answer = () => new DeadlineExceededError(theirs, { outcome: 'not-applied' })
  const error = await kv.get('k', { deadlineMs: 100 }).catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({ code: 'DEADLINE_EXCEEDED', outcome: 'not-applied', retryable: true })
  expect((error as Error).message).toMatch(
    /^get reached its deadline of \d+ ms: asked 7 times; waited 80 ms for a leader or to ask again \(so 127\.0\.0\.1:\d+\)$/,
  )
})

test('the port of HTTP/JSON is told for what it is', async () => {
  const http = createServer((_, response) => response.end('hello'))
  await once(http.listen(0, '127.0.0.1'), 'listening')
  cleanups.push(() => http.close())
  const address = `127.0.0.1:${(http.address() as AddressInfo).port}`
  await expect(KvClient.connect({ endpoints: [address], deadlineMs: 500 })).rejects.toThrow(
    `${address} does not speak gRPC: it may be the port of HTTP/JSON (--http-port, 7001 by default)`,
  )
})
