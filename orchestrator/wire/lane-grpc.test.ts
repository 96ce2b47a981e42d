// The lane over real connections. Time is real here, so nothing below depends on how much of it passes.
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import type { ServerDuplexStream } from '@grpc/grpc-js'
import { afterEach, expect, test } from 'vitest'
import { systemClock } from '../core/clock.js'
import { DEFAULT_LIMITS } from '../core/limits.js'
import type { Result } from '../core/operation.js'
import { systemRng } from '../core/rng.js'
import { type KvError, WrongPeerError } from '../errors/index.js'
import { statusOf } from './errors.js'
import { Lane, type LaneChange } from './lane.js'
import type { LaneRequest } from './lane-request.js'
import { listen } from './listener.js'
import { BATCH } from './methods.js'
import type { PeerIdentity } from './peer.js'
import { FakeNode } from './testing/fake-node.js'
import { FakeRequest } from './testing/fake-request.js'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function startNode(port?: number): Promise<FakeNode> {
  const node = await FakeNode.start(port)
  cleanups.push(() => node.close())
  return node
}

function openLane(address: string, peer?: PeerIdentity, onChange?: (change: LaneChange) => void): Lane {
  const lane = new Lane(address, {
    peer,
    onChange,
    limits: DEFAULT_LIMITS,
    clock: systemClock,
    rng: systemRng,
    epoch: () => 1n,
    stallMs: Number.POSITIVE_INFINITY,
    patienceMs: Number.POSITIVE_INFINITY,
  })
  cleanups.push(() => lane.close())
  return lane
}

function ask(lane: Lane, request: FakeRequest): Promise<KvError | Result> {
  return new Promise((resolve) => {
    const wrapped: LaneRequest = Object.create(request, {
      complete: { value: (error?: KvError, result?: Result) => resolve(error ?? (result as Result)) },
    })
    lane.send(wrapped)
  })
}

const WRONG_PEER = new WrongPeerError('not me', { outcome: 'not-applied' })
const SOON_MS = 30_000
const deadline = () => systemClock.monotonic() + SOON_MS

function put(key: string, value = 'v'): FakeRequest {
  const operation = { kind: 'put', key: Buffer.from(key), value: Buffer.from(value) } as const
  return new FakeRequest({ operation, deadline: deadline() })
}

function get(key: string): FakeRequest {
  return new FakeRequest({ operation: { kind: 'get', key: Buffer.from(key) }, deadline: deadline() })
}

/** Until the lane may connect again. */
async function usable(lane: Lane): Promise<void> {
  while (!lane.usable) await new Promise(setImmediate)
}

test('carries operations there and answers back, bytes and all', async () => {
  const lane = openLane((await startNode()).address)
  const value = String.fromCharCode(...Array(256).keys())
  const answers = await Promise.all([ask(lane, put('a', value)), ask(lane, put('b', '')), ask(lane, put('c'))])
  expect(answers).toEqual(Array(3).fill({ kind: 'put', version: 1n }))
  expect(await ask(lane, get('a'))).toMatchObject({ found: true, value: Buffer.from(value), version: 1n })
  expect(await ask(lane, get('b'))).toMatchObject({ found: true, value: { length: 0 } })
  expect(await ask(lane, get('d'))).toMatchObject({ found: false })
})

test('a server that dies makes sent writes unknown, and its successor on the same port is used', async () => {
  const first = await startNode()
  const { port } = first
  const lane = openLane(first.address)
  await ask(lane, put('warm'))
  for (let round = 0; round < 3; round++) {
    const node = round === 0 ? first : await startNode(port)
    await usable(lane)
    expect(await ask(lane, put('k'))).toMatchObject({ kind: 'put' })
    node.hold()
    const [write, read] = [ask(lane, put('k')), ask(lane, get('k'))]
    while (node.messages.at(-1)?.operations.at(-1)?.kind !== 'get') await new Promise(setImmediate)
    await node.close()
    expect(await write).toMatchObject({ code: 'UNAVAILABLE', outcome: 'unknown' })
    expect(await read).toMatchObject({ code: 'UNAVAILABLE', outcome: 'not-applied' })
  }
})

test('a server that ends the stream in order is asked again on a new one', async () => {
  const node = await startNode()
  const lane = openLane(node.address)
  await ask(lane, put('k'))
  node.endStreams()
  for (;;) {
    const answer = await ask(lane, put('k'))
    if ('kind' in answer) break
    await usable(lane)
  }
})

const ME: PeerIdentity = { cluster: 'c', shard: 0, node: 'n1' }

test('a peer that is the one that was meant serves, and so it does when nobody in particular was', async () => {
  const node = await startNode()
  node.identity = ME
  for (const meant of [ME, { cluster: 'c', shard: 0 }, undefined]) {
    expect(await ask(openLane(node.address, meant), put('k'))).toMatchObject({ kind: 'put' })
  }
})

test.each([
  { ...ME, cluster: 'other' },
  { ...ME, shard: 1 },
  { ...ME, node: 'n2' },
])('a peer that is not %j refuses, and a write that was sent is not applied', async (meant) => {
  const node = await startNode()
  node.identity = ME
  const changes: LaneChange[] = []
  const lane = openLane(node.address, meant, (change) => changes.push(change))
  const [write, read] = [put('k'), get('k')]
  const answers = await Promise.all([ask(lane, write), ask(lane, read)])
  expect(answers).toEqual(Array(2).fill(expect.objectContaining({ code: 'UNAVAILABLE', outcome: 'not-applied' })))
  expect(changes.map(({ kind }) => kind)).toEqual(['open', 'down'])
  expect(changes.at(-1)).toMatchObject({ cause: { code: 'WRONG_PEER' } })
  expect(node.messages).toEqual([])
  // Its successor on the port is the one.
  node.identity = meant
  await usable(lane)
  expect(await ask(lane, put('k'))).toMatchObject({ kind: 'put' })
})

test.each([
  ['a status alone, without the peer’s own word for it', ME, { code: 9, details: 'WRONG_PEER' }],
  ['a refusal of what was meant for nobody in particular', undefined, statusOf(WRONG_PEER)],
])('%s leaves a sent write unknown', async (_, meant, how) => {
  const batch = (call: ServerDuplexStream<unknown, unknown>) => {
    call.once('data', () => call.emit('error', Object.assign(new Error('refused'), how)))
  }
  const listener = await listen({ host: '127.0.0.1', port: 0 }, [
    { definition: { batch: BATCH }, implementation: { batch } },
  ])
  cleanups.push(() => listener.close())
  expect(await ask(openLane(listener.address, meant), put('k'))).toMatchObject({ outcome: 'unknown' })
})

test('where nobody listens nothing was sent', async () => {
  const node = await startNode()
  const { address } = node
  await node.close()
  expect(await ask(openLane(address), put('k'))).toMatchObject({ code: 'UNAVAILABLE', outcome: 'not-applied' })
})

test('a process that takes connections and says nothing, as a stopped one does, gets no write', async () => {
  const sockets: Socket[] = []
  const silent: Server = createServer((socket) => sockets.push(socket))
  cleanups.push(() => {
    for (const socket of sockets) socket.destroy()
    return new Promise((resolve) => silent.close(resolve))
  })
  const port = await new Promise<number>((resolve) => {
    silent.listen(0, '127.0.0.1', () => resolve((silent.address() as { port: number }).port))
  })
  expect(await ask(openLane(`127.0.0.1:${port}`), put('k'))).toMatchObject({ outcome: 'not-applied' })
})

test('answers that are too large to receive are asked for in smaller messages', async () => {
  const node = await startNode()
  const value = Buffer.alloc(1 << 20, 'x')
  node.answer = () => ({ kind: 'get', found: true, value, version: 1n })
  const lane = openLane(node.address)
  let left = Array.from({ length: 64 }, () => get('k'))
  for (let round = 0; left.length > 0; round++) {
    expect(round).toBeLessThan(5)
    await usable(lane)
    const answers = await Promise.all(left.map((request) => ask(lane, request)))
    left = left.filter((_, at) => !('kind' in (answers[at] ?? {})))
  }
})

test('close hangs up, on a connection that serves and on one that is being made', async () => {
  const node = await startNode()
  const hungUp: Promise<unknown>[] = []
  for (const target of [node.port, undefined]) {
    const proxy = createServer((socket) => {
      hungUp.push(once(socket, 'close'))
      if (target === undefined) return
      const onward = connect(target, '127.0.0.1')
      socket.pipe(onward).pipe(socket)
    })
    cleanups.push(() => proxy.close())
    proxy.listen(0, '127.0.0.1')
    await once(proxy, 'listening')
    const accepted = once(proxy, 'connection')
    const lane = openLane(`127.0.0.1:${(proxy.address() as AddressInfo).port}`)
    const asked = ask(lane, put('k'))
    await (target === undefined ? accepted : asked)
    lane.close()
  }
  await Promise.all(hungUp)
})

test('close leaves nothing that keeps a process alive', async () => {
  const node = await startNode()
  const before = process.getActiveResourcesInfo().length
  const lane = openLane(node.address)
  await ask(lane, put('k'))
  lane.close()
  await node.close()
  while (process.getActiveResourcesInfo().length > before) await new Promise(setImmediate)
})
