// Watch on a real cluster, by every way of KvClient: what the README says of it. test/elastic/recorded and chaos check it under failures.
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { KvClient, type WatchEvent, type WatchProgress } from '../../orchestrator/client/index.js'
import { CancelledError, CompactedError, InvalidArgumentError } from '../../orchestrator/errors/index.js'
import { ControlClient, OperationState } from '../../orchestrator/wire/control.js'
import { Cluster } from '../harness/cluster.js'
import { keysOn } from '../harness/keys.js'
import { until } from '../harness/wait.js'

let cluster: Cluster
beforeAll(async () => {
  cluster = await Cluster.start({
    shards: 2,
    replicas: 3,
    args: ['--linger-ms', '0'],
    nodeFlags: ['--watch-bytes', `${1 << 20}`],
  })
})
afterAll(() => cluster?.dispose())

const clients: KvClient[] = []
afterEach(async () => {
  for (const client of clients.splice(0)) await client.close()
})

async function connect(mode: 'direct' | 'gateway' | 'auto' = 'direct'): Promise<KvClient> {
  const client = await KvClient.connect({ endpoints: [cluster.address], mode, deadlineMs: 20_000 })
  clients.push(client)
  return client
}

/** A watch that has begun, and what it tells. */
async function begun(kv: KvClient, prefix: string, from?: string, signal?: AbortSignal) {
  const watch = kv.watch({ prefix }, { progress: true, from, signal })
  expect((await watch.next()).value?.type).toBe('progress')
  return watch
}

/** The next so many changes, as texts. */
async function take(watch: AsyncIterable<WatchEvent | WatchProgress>, count: number): Promise<string[]> {
  const told: string[] = []
  for await (const event of watch) {
    if (event.type !== 'progress') told.push(textOf(event))
    if (told.length === count) break
  }
  return told
}

function textOf(event: WatchEvent): string {
  const key = Buffer.from(event.key).toString()
  return event.type === 'put'
    ? `${key}=${Buffer.from(event.value).toString()}@${event.version}`
    : `${key} gone @${event.version}`
}

describe.each(['direct', 'gateway', 'auto'] as const)('mode %s', (mode) => {
  test('every change of the keys, and of no others', async () => {
    const kv = await connect(mode)
    const watch = await begun(kv, `${mode}/{t}`)
    const key = `${mode}/{t}k`
    const { version } = await kv.put(key, 'a')
    await kv.put(`${mode}/other`, 'x')
    await kv.append(key, 'b')
    await kv.compareAndSet(key, 'ab', '1')
    await kv.increment(key, 4n)
    await kv.delete(key)
    const again = await kv.put(key, 'c')
    const after = (by: bigint) => version + by
    expect(await take(watch, 6)).toEqual([
      `${key}=a@${version}`,
      `${key}=ab@${after(1n)}`,
      `${key}=1@${after(2n)}`,
      `${key}=5@${after(3n)}`,
      `${key} gone @${after(3n)}`,
      `${key}=c@${again.version}`,
    ])
    expect(await watch.next()).toEqual({ done: true, value: undefined })
  })

  test('another client goes on from the token, also of an event in the middle', async () => {
    const first = await connect(mode)
    const watch = await begun(first, `${mode}-resume/`)
    const keys = Array.from({ length: 40 }, (_, at) => `${mode}-resume/${at}`)
    await Promise.all(keys.map((key) => first.put(key, 'x')))
    const told: string[] = []
    for await (const event of watch) {
      if (event.type === 'progress') continue
      told.push(Buffer.from(event.key).toString())
      if (told.length === 17) break
    }
    await first.close()
    const second = await connect(mode)
    for await (const event of second.watch({ prefix: `${mode}-resume/` }, { from: watch.token })) {
      told.push(Buffer.from(event.key).toString())
      if (told.length === keys.length) break
    }
    expect(told.sort()).toEqual(keys.sort())
  })

  test('a signal and the end of the client end it', async () => {
    const kv = await connect(mode)
    const gone = new AbortController()
    const watch = kv.watch({ key: 'k' }, { progress: true, signal: gone.signal })
    await watch.next()
    const waiting = watch.next()
    gone.abort()
    await expect(waiting).rejects.toBeInstanceOf(CancelledError)
    const other = await begun(kv, 'k')
    const busy = await begun(kv, 'k')
    const left = other.next()
    await Promise.all([expect(left).rejects.toBeInstanceOf(CancelledError), kv.close()])
    // Who was busy, or comes later, is told as well: nothing says that there was nothing more.
    await expect(busy.next()).rejects.toBeInstanceOf(CancelledError)
    expect(await busy.next()).toEqual({ done: true, value: undefined })
    await expect(kv.watch({ key: 'k' }).next()).rejects.toBeInstanceOf(CancelledError)
  })
})

test('tokens go from one way to the other, and what is none is refused', async () => {
  const direct = await connect('direct')
  const gateway = await connect('gateway')
  const { token } = await begun(direct, 'ways/')
  await direct.put('ways/1', 'x')
  const [event] = await take(gateway.watch({ prefix: 'ways/' }, { from: token }), 1)
  expect(event).toMatch(/^ways\/1=x@/)
  for (const kv of [direct, gateway]) {
    await expect(kv.watch({ key: 'k' }, { from: 'AAAA' }).next()).rejects.toBeInstanceOf(InvalidArgumentError)
  }
  expect(() => direct.watch({} as never)).toThrow(TypeError)
})

test.each(['direct', 'gateway'] as const)(
  '%s: what is not kept any more is COMPACTED, with the way on',
  async (mode) => {
    const kv = await connect(mode)
    const old = await begun(kv, 'full/')
    await old.return()
    const map = await cluster.map()
    const next = keysOn(map, 1, 'full/')
    for (let round = 0; round < 8; round++) await kv.put(next(), 'x'.repeat(400_000))
    const failure = await kv
      .watch({ prefix: 'full/' }, { from: old.token })
      .next()
      .catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(CompactedError)
    const { token } = failure as CompactedError
    await kv.put('full/last', 'y')
    expect(await take(kv.watch({ prefix: 'full/' }, { from: token }), 1)).toEqual([
      expect.stringMatching(/^full\/last=y@/),
    ])
  },
)

test('an idle watch moves on while other keys change', async () => {
  const kv = await connect()
  const watch = await begun(kv, 'idle/')
  const before = watch.token
  await kv.put('busy', 'x')
  expect((await watch.next()).value?.type).toBe('progress')
  expect(watch.token).not.toBe(before)
  await watch.return()
})

/** Waits until there are so many shards. */
async function scaleTo(shards: number, control: ControlClient): Promise<void> {
  const { id } = await control.scale(shards, { deadlineMs: 5000, dryRun: false })
  if (id === '') return
  const isDone = async () =>
    (await control.operations({ deadlineMs: 5000 })).find((one) => one.id === id)?.state === OperationState.DONE
  await until(`${shards} shards`, isDone, 60_000)
}

/** The versions of each key that a watch tells, from when it has begun on; `done` when it has ended, which `over` has it do. */
async function versionsSeen(kv: KvClient, prefix: string, over: AbortSignal) {
  const watch = await begun(kv, prefix, undefined, over)
  const seen = new Map<string, bigint[]>()
  const read = async () => {
    for await (const event of watch) {
      if (event.type === 'progress') continue
      const key = Buffer.from(event.key).toString()
      seen.set(key, [...(seen.get(key) ?? []), event.version])
    }
  }
  const done = read().catch((error: unknown) => {
    if (!over.aborted) throw error
  })
  return { seen, done }
}

test('through the death of leaders and 2 to 3 shards: each change once, in order', async () => {
  const kv = await connect()
  const control = new ControlClient(cluster.address)
  const [stop, over] = [new AbortController(), new AbortController()]
  // They read meanwhile: the nodes of this cluster keep little.
  const readers = [kv, await connect('gateway')].map(async (client) => versionsSeen(client, 'move/', over.signal))
  const watched = await Promise.all(readers)
  const versions = new Map<string, bigint[]>()
  const writers = Array.from({ length: 12 }, async (_, at) => {
    const key = `move/${at}`
    const told: bigint[] = []
    versions.set(key, told)
    while (!stop.signal.aborted) told.push((await kv.increment(key).then(() => kv.put(key, '0'))).version)
  })
  try {
    const leader = await cluster.leaderOf(1)
    process.kill(leader.pid, 'SIGKILL')
    await scaleTo(3, control)
  } finally {
    stop.abort()
    await Promise.all(writers)
    control.close()
  }
  // Two changes each: the increment and the put.
  const count = [...versions.values()].reduce((sum, list) => sum + 2 * list.length, 0)
  for (const { seen, done } of watched) {
    const told = () => [...seen.values()].reduce((sum, list) => sum + list.length, 0)
    await Promise.race([done, until('every change to be seen', () => told() >= count)])
  }
  over.abort()
  await Promise.all(watched.map(({ done }) => done))
  for (const { seen } of watched) {
    for (const [key, told] of versions) {
      const all = seen.get(key) ?? []
      expect(all, key).toEqual(all.map((_, at) => (all[0] as bigint) + BigInt(at)))
      expect(
        all.filter((_, at) => at % 2 === 1),
        key,
      ).toEqual(told)
    }
  }
})

test('a token does not outlive its shard: one that was taken away and added again is another one', async () => {
  const kv = await connect()
  const control = new ControlClient(cluster.address)
  try {
    await scaleTo(3, control)
    const old = await begun(kv, 'life/')
    const from = old.token
    await old.return()
    await scaleTo(2, control)
    await scaleTo(3, control)
    const failure = await kv
      .watch({ prefix: 'life/' }, { from })
      .next()
      .catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(CompactedError)
    await kv.put('life/k', 'y')
    const { token } = failure as CompactedError
    expect(await take(kv.watch({ prefix: 'life/' }, { from: token }), 1)).toEqual([
      expect.stringMatching(/^life\/k=y@/),
    ])
  } finally {
    control.close()
  }
})
