import { afterEach, describe, expect, test } from 'vitest'
import { InternalError, InvalidArgumentError, type KvError, TooLargeError, UnavailableError } from '../errors/index.js'
import { FakeNode } from '../wire/testing/fake-node.js'
import { RequestWrapper } from './request-wrapper.js'

// A gateway looks like a node that always leads.
const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function startGateway(port?: number): Promise<FakeNode> {
  const gateway = await FakeNode.start(port)
  cleanups.push(() => gateway.close())
  return gateway
}

async function setUp(): Promise<{ gateway: FakeNode; client: RequestWrapper }> {
  const gateway = await startGateway()
  return { gateway, client: connect(gateway) }
}

function connect(gateway: FakeNode): RequestWrapper {
  const client = new RequestWrapper(gateway.address)
  cleanups.push(() => client.close())
  return client
}

describe('put, get and delete', () => {
  test('what was put is got until it is deleted', async () => {
    const { client } = await setUp()
    await client.put('k3', 'v3')
    expect(await client.get('k3')).toBe('v3')
    await client.delete('k3')
    expect(await client.get('k3')).toBeNull()
    await client.delete('k3')
  })

  test.each(['', '\0', 'a\0b', '\ufeff', 'e\u0301', '\u{1f600}\u{10ffff}', 'x'.repeat(100_000)])(
    'any text is a value: %#',
    async (text) => {
      const { client } = await setUp()
      await client.put(`key ${text.slice(0, 10)}`, text)
      expect(await client.get(`key ${text.slice(0, 10)}`)).toBe(text)
    },
  )

  test('calls of one turn travel together', async () => {
    const { client, gateway } = await setUp()
    await client.put('warm', '')
    gateway.messages.length = 0
    await Promise.all(Array.from({ length: 64 }, (_, at) => client.put(`k${at}`, 'v')))
    expect(gateway.messages.map(({ operations }) => operations.length)).toEqual([64])
  })
})

describe('mistakes of the program are TypeErrors', () => {
  test.each<[string, (client: RequestWrapper) => Promise<unknown>]>([
    ['a number for a key', (client) => client.get(1 as never)],
    ['no key', (client) => client.delete(undefined as never)],
    ['no value', (client) => client.put('k', undefined as never)],
    ['a lone surrogate in a key', (client) => client.get('\ud800')],
    ['a lone surrogate in a value', (client) => client.put('k', 'a\udc00')],
    ['a deadline that is no number', (client) => client.get('k', { deadlineMs: 'soon' as never })],
  ])('%s', async (_, act) => {
    const { client, gateway } = await setUp()
    await expect(act(client)).rejects.toThrow(TypeError)
    expect(gateway.messages).toHaveLength(0)
  })

  test.each([undefined, 7000, '', 'localhost', ':7000'])('the address %j', (address) => {
    expect(() => new RequestWrapper(address as never)).toThrow(TypeError)
  })
})

describe('failures are typed', () => {
  test('an empty key, a key that is too long', async () => {
    const { client } = await setUp()
    await expect(client.get('')).rejects.toBeInstanceOf(InvalidArgumentError)
    await expect(client.put('é'.repeat(2049), 'v')).rejects.toBeInstanceOf(TooLargeError)
  })

  test('a value that is no text', async () => {
    const { client, gateway } = await setUp()
    gateway.rows.set('k', { value: Uint8Array.of(0xff), version: 1n })
    await expect(client.get('k')).rejects.toThrow(/not UTF-8/)
  })

  test('what the gateway says, outcome included', async () => {
    const { client, gateway } = await setUp()
    await client.put('warm', '')
    gateway.answer = () => new InternalError('a bug', { outcome: 'unknown' })
    const failure = await client.put('k', 'v').catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(InternalError)
    expect(failure).toMatchObject({ outcome: 'unknown', retryable: false, message: 'a bug' })
  })

  test('nobody there: not applied, at the deadline', async () => {
    const { client, gateway } = await setUp()
    await gateway.close()
    const failure = await client.put('k', 'v', { deadlineMs: 100 }).catch((error: unknown) => error)
    expect(failure).toMatchObject({ code: 'DEADLINE_EXCEEDED', outcome: 'not-applied' })
    expect((failure as KvError).cause).toBeInstanceOf(UnavailableError)
  })

  test('no answer: unknown for a write, not applied for a read, at the deadline', async () => {
    const { client, gateway } = await setUp()
    await client.put('warm', '')
    gateway.hold()
    const [write, read] = await Promise.allSettled([
      client.put('k', 'v', { deadlineMs: 100 }),
      client.get('k', { deadlineMs: 100 }),
    ])
    expect(write).toMatchObject({ reason: { code: 'DEADLINE_EXCEEDED', outcome: 'unknown' } })
    expect(read).toMatchObject({ reason: { code: 'DEADLINE_EXCEEDED', outcome: 'not-applied' } })
  })

  test('giving up', async () => {
    const { client, gateway } = await setUp()
    gateway.hold()
    const abort = new AbortController()
    const read = client.get('k', { signal: abort.signal }).catch((error: unknown) => error)
    abort.abort()
    expect(await read).toMatchObject({ code: 'CANCELLED' })
  })
})

test('an operation that was refused is tried again', async () => {
  const { client, gateway } = await setUp()
  let refusals = 3
  gateway.answer = (operation) => {
    if (refusals-- > 0) return new UnavailableError('no leader yet', { outcome: 'not-applied' })
    return gateway.execute(operation)
  }
  await client.put('k', 'v')
  expect(gateway.rows.size).toBe(1)
})

test('one operation that takes long does not hold back the others', async () => {
  const { client, gateway } = await setUp()
  await client.put('warm', '')
  gateway.hold()
  const before = gateway.messages.length
  const slow = client.put('slow', 'v')
  while (gateway.messages.length === before) await new Promise(setImmediate)
  const quick = client.put('quick', 'v')
  while (gateway.messages.length === before + 1) await new Promise(setImmediate)
  gateway.release()
  await Promise.all([slow, quick])
})

test('it survives restarts of the gateway, and calls made meanwhile wait for it', async () => {
  const { client, gateway } = await setUp()
  const { port } = gateway
  await client.put('k', 'v')
  let running = gateway
  for (let restart = 0; restart < 3; restart++) {
    await running.close()
    const meanwhile = client.put('k', `v${restart}`)
    running = await startGateway(port)
    await meanwhile
    expect(await client.get('k')).toBe(`v${restart}`)
  }
})

test('after close nothing keeps the process alive', async () => {
  const { client, gateway } = await setUp()
  const { port } = gateway
  await client.put('k', 'v')
  await gateway.close()
  const before = process.getActiveResourcesInfo().length
  const gone = new RequestWrapper(`127.0.0.1:${port}`)
  const waiting = gone.put('k', 'v').catch((error: unknown) => error)
  await new Promise(setImmediate)
  gone.close()
  expect(await waiting).toMatchObject({ code: 'CANCELLED', outcome: 'not-applied' })
  while (process.getActiveResourcesInfo().length > before) await new Promise(setImmediate)
})

test('close ends what is in flight, and later calls', async () => {
  const { client, gateway } = await setUp()
  await client.put('warm', '')
  gateway.hold()
  const before = gateway.messages.length
  const write = client.put('k', 'v').catch((error: unknown) => error)
  while (gateway.messages.length === before) await new Promise(setImmediate)
  client.close()
  client.close()
  expect(await write).toMatchObject({ code: 'CANCELLED', outcome: 'unknown' })
  await expect(client.get('k')).rejects.toMatchObject({ code: 'CANCELLED', outcome: 'not-applied' })
})
