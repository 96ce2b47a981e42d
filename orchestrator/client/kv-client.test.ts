import { afterEach, describe, expect, test } from 'vitest'
import { InternalError, KvError, OverloadedError, TooLargeError, UnavailableError } from '../errors/index.js'
import { FakeNode } from '../wire/testing/fake-node.js'
import type { BatchResult } from './batch.js'
import { KvClient, type KvClientOptions } from './kv-client.js'
import { FakeCluster } from './testing/fake-cluster.js'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function startCluster(options: Parameters<typeof FakeCluster.start>[0] = {}): Promise<FakeCluster> {
  const cluster = await FakeCluster.start(options)
  cleanups.push(() => cluster.close())
  return cluster
}

async function connect(options: KvClientOptions): Promise<KvClient> {
  const kv = await KvClient.connect(options)
  cleanups.push(() => kv.close({ drainMs: 0 }))
  return kv
}

async function setUp(options: Partial<KvClientOptions> = {}, remote = false) {
  const cluster = await startCluster({ remote })
  const kv = await connect({ endpoints: [cluster.gateway.address], ...options })
  return { cluster, kv }
}

const failureOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  )

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise(setImmediate)
}

describe.each(['direct', 'gateway', 'auto'] as const)('mode %s', (mode) => {
  test('what was put is got until it is deleted', async () => {
    const { kv } = await setUp({ mode })
    expect(await kv.put('k', Buffer.from([0xff, 0]))).toEqual({ version: 1n })
    expect(await kv.get('k')).toMatchObject({ value: Buffer.from([0xff, 0]), version: 1n })
    expect(await kv.append(Buffer.from('k'), 'ab')).toEqual({ version: 2n, length: 4 })
    expect(await kv.delete('k')).toEqual({ existed: true })
    expect(await kv.delete('k')).toEqual({ existed: false })
    expect(await kv.get('k')).toBeNull()
  })

  test('a batch gives each operation its own result, in order', async () => {
    const { kv } = await setUp({ mode })
    await kv.put('c', 'text')
    const batch = kv.batch().put('a', 'x').delete('b').get('c').append('d', 'yz').put('a2', 'v', { ifVersion: 9n })
    const [put, deleted, hit, appended, refused] = await batch.run()
    expect([put, deleted, appended]).toEqual([{ version: 1n }, { existed: false }, { version: 1n, length: 2 }])
    if (hit === null || hit instanceof KvError) throw new Error('no hit')
    expect(hit.text()).toBe('text')
    expect(refused).toMatchObject({ code: 'PRECONDITION_FAILED', outcome: 'not-applied' })
  })

  test('conditions, sums, and what was replaced', async () => {
    const { kv } = await setUp({ mode })
    expect(await kv.put('k', 'a', { ifAbsent: true })).toEqual({ version: 1n })
    expect(await failureOf(kv.put('k', 'b', { ifAbsent: true }))).toMatchObject({
      code: 'PRECONDITION_FAILED',
      outcome: 'not-applied',
      version: 1n,
    })
    const replaced = await kv.put('k', 'b', { returnPrevious: true })
    expect([replaced.version, replaced.previous?.text(), replaced.previous?.version]).toEqual([2n, 'a', 1n])
    expect(await kv.compareAndSet('k', 'b', 'c')).toEqual({ version: 3n })
    expect(await failureOf(kv.compareAndSet('k', null, 'd'))).toMatchObject({
      code: 'PRECONDITION_FAILED',
      version: 3n,
    })
    const gone = await kv.delete('k', { returnPrevious: true, ifVersion: 3n })
    expect([gone.existed, gone.previous?.text()]).toEqual([true, 'c'])
    expect(await kv.delete('k', { returnPrevious: true })).toEqual({ existed: false, previous: null })
    expect(await kv.compareAndSet('k', null, '')).toEqual({ version: 1n })
    expect(await kv.increment('n')).toBe(1n)
    expect(await kv.increment('n', -3n)).toBe(-2n)
    expect((await kv.get('n'))?.text()).toBe('-2')
    const batch = kv.batch().increment('m', 5n).compareAndSet('x', null, '1').put('y', '1', { returnPrevious: true })
    const [sum, set, put] = await batch.run()
    expect([sum, set, put]).toEqual([5n, { version: 1n }, { version: 1n, previous: null }])
  })

  test('5,000 callers at once are each answered with their own', async () => {
    const { kv, cluster } = await setUp({ mode, inFlightOperationsMax: 700, deadlineMs: 15_000 })
    const { signal } = new AbortController()
    const names = Array.from({ length: 5000 }, (_, at) => `k${at}`)
    await Promise.all(names.map((name) => kv.put(name, name, { signal })))
    const hits = await Promise.all(names.map((name) => kv.get(name)))
    expect(hits.map((hit) => hit?.text())).toEqual(names)
    expect(cluster.writes).toBe(5000)
  })

  test('without a limit in the way, too', async () => {
    const { kv } = await setUp({ mode, deadlineMs: 15_000 })
    const ends = await Promise.all(Array.from({ length: 5000 }, (_, at) => kv.append(`k${at % 10}`, 'x')))
    expect(Math.max(...ends.map(({ length }) => length))).toBe(500)
  })

  test('a server that is full is given the time that it asks for', async () => {
    const { kv, cluster } = await setUp({ mode })
    let refusals = 2
    cluster.leader.answer = (operation) => {
      if (operation.kind !== 'put' || refusals-- <= 0) return cluster.leader.execute(operation)
      return new OverloadedError('full', { outcome: 'not-applied', retryAfterMs: 60 })
    }
    const began = performance.now()
    await kv.put('k', 'v')
    expect(performance.now() - began).toBeGreaterThan(110)
  })

  test('failures are typed, with their outcome', async () => {
    const { kv, cluster } = await setUp({ mode })
    await kv.put('warm', '')
    expect(await failureOf(kv.put('k', Buffer.alloc((8 << 20) + 1)))).toBeInstanceOf(TooLargeError)
    cluster.leader.answer = () => new InternalError('a bug', { outcome: 'unknown' })
    expect(await failureOf(kv.get('k'))).toMatchObject({ code: 'INTERNAL', message: 'a bug' })
  })

  test('a deadline and a signal end any call', async () => {
    const { kv, cluster } = await setUp({ mode })
    await kv.put('warm', '')
    for (const node of cluster.nodes) node.hold()
    const late = await failureOf(kv.put('k', 'v', { deadlineMs: 100 }))
    expect(late).toMatchObject({ code: 'DEADLINE_EXCEEDED', outcome: 'unknown' })
    const abort = new AbortController()
    const read = failureOf(kv.get('k', { signal: abort.signal }))
    abort.abort()
    expect(await read).toMatchObject({ code: 'CANCELLED', outcome: 'not-applied' })
  })

  test('a restarted gateway is followed again, and no call fails', async () => {
    const { kv, cluster } = await setUp({ mode })
    const { port } = cluster.gateway
    for (let round = 0; round < 3; round++) {
      await cluster.gateway.close()
      const meanwhile = kv.put('k', `v${round}`)
      await cluster.gateway.open(port)
      await meanwhile
    }
    // It still hears of newer maps: n2 leads now, and n1 is no longer in them.
    const [, second, third] = cluster.infos
    if (second === undefined || third === undefined) throw new Error('no nodes')
    cluster.elect(1, 2n)
    cluster.publish(2n, [second, third])
    await cluster.leader.close()
    expect((await kv.get('k'))?.text()).toBe('v2')
  })

  test('redirect ping-pong: two nodes that name each other are asked a bounded number of times', async () => {
    const { kv, cluster } = await setUp({ mode })
    let asked = 0
    for (const [at, node] of cluster.nodes.entries()) pingPong(cluster, node, at, () => asked++)
    const failure = await failureOf(kv.put('k', 'v', { deadlineMs: 600 }))
    expect(failure).toMatchObject({ code: 'DEADLINE_EXCEEDED', outcome: 'not-applied' })
    expect(asked).toBeLessThan(300)
  })
})

let nextTerm = 10n
/** Whoever is asked says that the other one leads, in an ever newer term. */
function pingPong(cluster: FakeCluster, node: FakeNode, at: number, count: () => void): void {
  const other = at === 0 ? 1 : 0
  node.answer = (operation) => {
    count()
    const target = cluster.nodes[other] as FakeNode
    node.follow({ node: target, nodeId: `${cluster.id}-n${other + 1}`, term: nextTerm++ })
    const said = node.answer(operation)
    pingPong(cluster, node, at, count)
    return said
  }
}

describe('the map', () => {
  test('comes from any endpoint; those that are dead or silent are passed over', async () => {
    const cluster = await startCluster()
    const dead = await startCluster({ id: 'dead' })
    await dead.gateway.close()
    const endpoints = [dead.gateway.address, cluster.gateway.address]
    const kv = await connect({ endpoints })
    await kv.put('k', 'v')
    expect(cluster.writes).toBe(1)
  })

  test('when no endpoint answers, connecting fails at its deadline and leaves nothing', async () => {
    const before = process.getActiveResourcesInfo().length
    const failure = await failureOf(KvClient.connect({ endpoints: ['127.0.0.1:1'], deadlineMs: 200 }))
    expect(failure).toBeInstanceOf(UnavailableError)
    expect(failure).toMatchObject({ outcome: 'not-applied', cause: expect.any(KvError) })
    await until(() => process.getActiveResourcesInfo().length <= before)
    const signal = AbortSignal.timeout(50)
    const given = await failureOf(KvClient.connect({ endpoints: ['127.0.0.1:1'], signal }))
    expect(given).toMatchObject({ code: 'CANCELLED' })
  })

  test.each(['gateway', 'auto'] as const)('of another cluster is refused: %s', async (mode) => {
    const { kv, cluster } = await setUp({ mode, deadlineMs: 800 })
    await kv.put('k', 'v')
    const { port } = cluster.gateway
    await cluster.close()
    const other = await startCluster({ id: 'other', port })
    const reason = async () => (await failureOf(kv.get('k', { deadlineMs: 50 }))) as KvError | undefined
    while (((await reason())?.cause as KvError | undefined)?.code !== 'WRONG_PEER');
    const failure = await failureOf(kv.put('k', 'v'))
    expect(failure).toMatchObject({ code: 'DEADLINE_EXCEEDED', cause: { code: 'WRONG_PEER' } })
    expect((failure as KvError).message).toMatch(/serves cluster other now, not c1/)
    expect(other.writes).toBe(0)
  })

  test('follows a leader to its new address', async () => {
    const { kv, cluster } = await setUp({ mode: 'direct' })
    await kv.put('k', 'v')
    const [first, ...rest] = cluster.infos
    if (first === undefined) throw new Error('no nodes')
    const moved = await FakeNode.start(0, cluster.rows)
    cleanups.push(() => moved.close())
    await cluster.leader.close()
    const write = kv.put('k', 'v2')
    cluster.publish(2n, [{ ...first, address: moved.address }, ...rest])
    await write
    expect(moved.operations.some(({ kind }) => kind === 'put')).toBe(true)
  })
})

describe('auto: a shard whose nodes cannot be reached', () => {
  test('is asked through the gateway, and directly once it can be', async () => {
    const { kv, cluster } = await setUp({ mode: 'auto' }, true)
    await kv.put('k', 'v')
    expect((await kv.get('k'))?.text()).toBe('v')
    cluster.publish(2n, cluster.infos)
    const { port } = cluster.gateway
    for (let round = 0; round < 40; round++) {
      await kv.get('k')
      await new Promise((resolve) => setTimeout(resolve, 25))
    }
    await cluster.gateway.close()
    await kv.put('k', 'direct')
    await cluster.gateway.open(port)
  })

  test('with direct alone it is not', async () => {
    const { kv } = await setUp({ mode: 'direct' }, true)
    expect(await failureOf(kv.put('k', 'v', { deadlineMs: 500 }))).toMatchObject({ outcome: 'not-applied' })
  })
})

describe('too much at once', () => {
  test('callers wait, for bytes as well, and nobody is told OVERLOADED', async () => {
    const { kv, cluster } = await setUp({ inFlightBytesMax: 64 << 10 })
    await Promise.all(Array.from({ length: 100 }, (_, at) => kv.put(`k${at}`, Buffer.alloc(8 << 10))))
    const largest = Math.max(...cluster.nodes.flatMap(({ messages }) => messages.map((one) => one.operations.length)))
    expect(largest).toBeLessThanOrEqual(8)
  })

  test('what has waited has only the rest of its time', async () => {
    const { kv, cluster } = await setUp({ mode: 'direct', inFlightOperationsMax: 1 })
    await kv.put('warm', '')
    cluster.leader.hold()
    const began = performance.now()
    const ends = [kv.put('a', 'v', { deadlineMs: 300 }), kv.put('b', 'v', { deadlineMs: 400 })].map(failureOf)
    expect(await Promise.all(ends)).toMatchObject(Array(2).fill({ code: 'DEADLINE_EXCEEDED' }))
    expect(performance.now() - began).toBeLessThan(600)
  })

  test('waiting counts for the deadline, and can be given up', async () => {
    const { kv, cluster } = await setUp({ mode: 'direct', inFlightOperationsMax: 1 })
    await kv.put('warm', '')
    cluster.leader.hold()
    const first = failureOf(kv.put('k', 'v', { deadlineMs: 400 }))
    const late = await failureOf(kv.put('k', 'v', { deadlineMs: 50 }))
    expect(late).toMatchObject({ code: 'DEADLINE_EXCEEDED', outcome: 'not-applied' })
    const abort = new AbortController()
    const given = failureOf(kv.put('k', 'v', { signal: abort.signal }))
    abort.abort()
    expect(await given).toMatchObject({ code: 'CANCELLED', outcome: 'not-applied' })
    // What can never be sent does not wait to be told so.
    expect(await failureOf(kv.get(''))).toMatchObject({ code: 'INVALID_ARGUMENT' })
    await first
  })
})

describe('mistakes of the program are TypeErrors', () => {
  test.each<[string, unknown]>([
    ['no endpoints', { endpoints: [] }],
    ['one text', { endpoints: 'localhost:7000' }],
    ['no port', { endpoints: ['localhost'] }],
    ['an unknown mode', { endpoints: ['localhost:7000'], mode: 'fast' }],
    ['a limit of nothing', { endpoints: ['localhost:7000'], inFlightOperationsMax: 0 }],
    ['a deadline that is no number', { endpoints: ['localhost:7000'], deadlineMs: 'soon' }],
  ])('connecting with %s', async (_, options) => {
    await expect(KvClient.connect(options as KvClientOptions)).rejects.toThrow(TypeError)
  })

  test('an empty list of gateways is told as such', async () => {
    await expect(KvClient.connect({ endpoints: [] })).rejects.toThrow(
      /^endpoints must name at least one gateway, like .* and is empty$/,
    )
  })

  test('keys, values and options', async () => {
    const { kv } = await setUp()
    await expect(kv.get(1 as never)).rejects.toThrow(TypeError)
    await expect(kv.put('k', null as never)).rejects.toThrow(TypeError)
    await expect(kv.append('k', '\ud800')).rejects.toThrow(TypeError)
    await expect(kv.put('k', 'v', { ifAbsent: true, ifVersion: 1n })).rejects.toThrow(TypeError)
    await expect(kv.put('k', 'v', { ifAbsent: 1 } as never)).rejects.toThrow(TypeError)
    await expect(kv.put('k', 'v', { returnPrevious: 1 } as never)).rejects.toThrow(TypeError)
    await expect(kv.compareAndSet('k', undefined as never, 'v')).rejects.toThrow(TypeError)
    for (const by of [1, 2n ** 63n, -(2n ** 63n) - 1n]) {
      await expect(kv.increment('k', by as never)).rejects.toThrow(TypeError)
    }
    await expect(kv.put('k', 'v', { ifVersion: 1 as never })).rejects.toThrow(TypeError)
    await expect(kv.get('k', { deadlineMs: Number.NaN })).rejects.toThrow(TypeError)
    expect(() => kv.batch().put(1 as never, 'v')).toThrow(TypeError)
    await expect(kv.batch().get('k').run({ deadlineMs: Number.NaN })).rejects.toThrow(TypeError)
  })

  test('a value that is no text says so when it is read as one', async () => {
    const { kv } = await setUp()
    await kv.put('k', Uint8Array.of(0xff))
    const hit = await kv.get('k')
    expect(() => hit?.text()).toThrow(/not UTF-8/)
  })
})

describe('close', () => {
  test('lets what is in flight end, and takes nothing new', async () => {
    const { kv, cluster } = await setUp({ mode: 'direct', inFlightOperationsMax: 1 })
    await kv.put('warm', '')
    cluster.leader.hold()
    const writes = [kv.put('a', 'v'), kv.put('b', 'v')]
    const end = kv.close()
    expect(kv.close()).toBe(end)
    expect(await failureOf(kv.get('k'))).toMatchObject({ code: 'CANCELLED', outcome: 'not-applied' })
    cluster.leader.release()
    expect(await Promise.all(writes)).toHaveLength(2)
    await end
  })

  test('waits no longer than it was given', async () => {
    const { kv, cluster } = await setUp({ mode: 'direct' })
    await kv.put('warm', '')
    const before = cluster.leader.messages.length
    cluster.leader.hold()
    const write = failureOf(kv.put('k', 'v'))
    await until(() => cluster.leader.messages.length > before)
    await kv.close({ drainMs: 50 })
    expect(await write).toMatchObject({ code: 'CANCELLED', outcome: 'unknown' })
  })

  test.each(['direct', 'gateway', 'auto'] as const)('leaves no timer and no socket: %s', async (mode) => {
    const cluster = await startCluster({ remote: mode === 'auto' })
    await new Promise(setImmediate)
    const before = process.getActiveResourcesInfo().length
    const kv = await KvClient.connect({ endpoints: [cluster.gateway.address], mode })
    await kv.put('k', 'v')
    await kv.close()
    const settled = () => process.getActiveResourcesInfo().length
    // The gateway's own connections to the nodes stay.
    const own = mode === 'direct' ? 0 : 2 * cluster.nodes.length
    await until(() => settled() <= before + own)
  })
})

test('a batch may be built in a loop, and run again', async () => {
  const { kv } = await setUp()
  const batch = kv.batch<BatchResult[]>()
  for (let at = 0; at < 10; at++) batch.put(`k${at}`, 'v')
  expect(await batch.run()).toHaveLength(10)
  expect(await batch.run()).toEqual([])
})

test('connecting to nobody says who was asked, for how long, and what it came to, without a word of gRPC', async () => {
  const { cluster } = await setUp()
  const { address } = cluster.gateway
  await cluster.close()
  const error = await failureOf(KvClient.connect({ endpoints: [address], deadlineMs: 300 }))
  expect((error as KvError).message).toBe(
    `no cluster map from ${address} within 300 ms: is Kvorum running there? last failure: no connection to ${address}, or it ` +
      'broke (nobody listens there)',
  )
})
