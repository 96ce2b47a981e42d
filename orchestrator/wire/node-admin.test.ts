import type { ServerUnaryCall, ServerWritableStream, sendUnaryData } from '@grpc/grpc-js'
import { afterEach, expect, test } from 'vitest'
import { KvError, NotLeaderError, WrongPeerError } from '../errors/index.js'
import { statusOf } from './errors.js'
import { KVService } from './gen/kvorum/v1/kv.js'
import { NodeService, type NodeStatus, type WatchResponse } from './gen/node/v1/node.js'
import { KvUnary } from './kv-unary.js'
import { type Listener, listen } from './listener.js'
import { ImportPhase, type ImportResponse, MoveStep, NodeAdmin, PartitionState, Role } from './node-admin.js'
import type { PeerIdentity } from './peer.js'
import { refusal } from './testing/identity.js'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

type Call = ServerUnaryCall<unknown, unknown>
type Callback = sendUnaryData<unknown>
type WatchCall = ServerWritableStream<unknown, WatchResponse>

const FULL: NodeStatus = {
  clusterId: 'c',
  shard: 1,
  nodeId: 'n1',
  address: 'h:1',
  pid: 1,
  dataDir: 'd',
  version: '0',
  role: Role.LEADER,
  state: 4,
  term: 1n,
  leaderId: 'n1',
  ready: true,
  lastLogIndex: 1n,
  commitIndex: 1n,
  appliedIndex: 1n,
  syncedIndex: 1n,
  members: [],
  ownershipEpoch: 0n,
  configuration: 1n,
  configurationCommitted: true,
  format: 1,
  formatMax: 2,
  appendUs: 0,
}

async function serve(handlers: Record<string, unknown>): Promise<{ admin: NodeAdmin; listener: Listener }> {
  const all = Object.keys(NodeService).map((name) => [name, handlers[name] ?? (() => {})])
  const listener = await listen({ host: '127.0.0.1', port: 0 }, [
    { definition: NodeService, implementation: Object.fromEntries(all) },
  ])
  const admin = new NodeAdmin(listener.address)
  cleanups.push(
    () => listener.close(),
    () => admin.close(),
  )
  return { admin, listener }
}

function adminOf(listener: Listener, peer: PeerIdentity): NodeAdmin {
  const admin = new NodeAdmin(listener.address, undefined, peer)
  cleanups.push(() => admin.close())
  return admin
}

test('has partitions moved, and hears how far that is', async () => {
  const asked: unknown[] = []
  const told = { phase: ImportPhase.COPYING, records: 5n, bytes: 50n, pauseUs: 0n }
  const report = { first: 3, last: 4, state: PartitionState.FROZEN, epoch: 9n }
  const { admin } = await serve({
    import: (call: ServerWritableStream<unknown, ImportResponse>) => {
      asked.push(call.request)
      call.write(told)
      call.write({ ...told, phase: ImportPhase.ACTIVE, pauseUs: 700n })
      call.end()
    },
    move: (call: Call, done: Callback) => {
      asked.push(call.request)
      done(null, {})
    },
    partitions: (_: Call, done: Callback) => done(null, { partitions: [report] }),
  })
  const partitions = [{ first: 3, last: 4 }]
  const from = [{ id: 'n1', address: 'h:1' }]
  const heard: ImportResponse[] = []
  const order = { epoch: 9n, partitions, fromShard: 1, from }
  for await (const one of admin.importPartitions(order, new AbortController().signal)) heard.push(one)
  expect(heard).toEqual([told, { ...told, phase: ImportPhase.ACTIVE, pauseUs: 700n }])
  await admin.move(MoveStep.THAW, 9n, partitions)
  expect(await admin.partitions()).toEqual([report])
  expect(asked).toEqual([
    { epoch: 9n, partitions, fromShard: 1, from, bytesPerSecond: 0n },
    { step: MoveStep.THAW, epoch: 9n, partitions, freezeMs: 0 },
  ])
})

test('has members changed, for the configuration that it names or for any', async () => {
  const asked: unknown[] = []
  const answer = (call: Call, done: Callback) => {
    asked.push(call.request)
    done(null, { configuration: 12n })
  }
  const { admin } = await serve({ addNonVoter: answer, promote: answer, removeMember: answer, raiseFormat: answer })
  expect(await admin.addNonVoter({ id: 'n4', address: 'h:4' }, 7n)).toBe(12n)
  expect(await admin.promote('n4')).toBe(12n)
  expect(await admin.removeMember('n1', 12n)).toBe(12n)
  await admin.raiseFormat(2)
  expect(asked).toEqual([
    { node: { id: 'n4', address: 'h:4' }, ifConfiguration: 7n },
    { nodeId: 'n4', ifConfiguration: 0n },
    { nodeId: 'n1', ifConfiguration: 12n },
    { format: 2 },
  ])
})

test('asks and is answered', async () => {
  const asked: unknown[] = []
  const { admin } = await serve({
    status: (_: Call, done: Callback) => done(null, { status: FULL }),
    bootstrap: (call: Call, done: Callback) => {
      asked.push(call.request)
      done(null, {})
    },
    assignPartitions: (call: Call, done: Callback) => {
      asked.push(call.request)
      done(null, {})
    },
  })
  expect(await admin.status()).toEqual(FULL)
  await admin.bootstrap([{ id: 'n1', address: 'h:1' }])
  await admin.assignPartitions(3n, [{ first: 0, last: 1023 }])
  expect(asked).toEqual([{ members: [{ id: 'n1', address: 'h:1' }] }, { epoch: 3n, owned: [{ first: 0, last: 1023 }] }])
})

test('a refusal is the error that the node meant, hint included', async () => {
  const leader = { nodeId: 'n2', address: 'h:2', term: 4n }
  const refusal = new NotLeaderError('ask n2', { outcome: 'not-applied', leader })
  const { admin } = await serve({ assignPartitions: (_: Call, done: Callback) => done(statusOf(refusal)) })
  const failure = await admin.assignPartitions(1n, []).catch((error: unknown) => error)
  expect(failure).toBeInstanceOf(NotLeaderError)
  expect(failure).toMatchObject({ outcome: 'not-applied', leader })
})

test('every call says whom it means, and a node that is another refuses it', async () => {
  const me = { cluster: 'c', shard: 3, node: 'n1' }
  const checked = (done: (call: Call, callback: Callback) => void) => (call: Call, callback: Callback) => {
    const refused = refusal(call.metadata, me)
    if (refused === undefined) done(call, callback)
    else callback(refused)
  }
  const watch = (call: WatchCall) => {
    const refused = refusal(call.metadata, me)
    if (refused === undefined) call.write({ status: FULL })
    else call.emit('error', refused)
  }
  const { listener } = await serve({
    status: checked((_, done) => done(null, { status: FULL })),
    campaign: checked((_, done) => done(null, {})),
    watch,
  })
  const wrong = { code: 'WRONG_PEER', outcome: 'not-applied' }
  const admin = adminOf(listener, { cluster: 'c', shard: 3 })
  expect(await admin.status()).toEqual(FULL)
  for await (const status of admin.watch(new AbortController().signal)) {
    expect(status).toEqual(FULL)
    break
  }
  for (const other of [
    { cluster: 'd', shard: 3 },
    { ...me, shard: 0 },
    { ...me, node: 'n2' },
  ]) {
    const stranger = adminOf(listener, other)
    await expect(stranger.campaign()).rejects.toMatchObject(wrong)
    await expect(stranger.watch(new AbortController().signal).next()).rejects.toBeInstanceOf(WrongPeerError)
  }
})

test('single operations say whom they mean, too', async () => {
  const asked: unknown[] = []
  const get = (call: Call, done: Callback) => {
    asked.push(call.metadata.getMap())
    done(null, { found: false, value: Buffer.alloc(0), version: 0n })
  }
  const implementation = { ...Object.fromEntries(Object.keys(KVService).map((name) => [name, () => {}])), get }
  const listener = await listen({ host: '127.0.0.1', port: 0 }, [{ definition: KVService, implementation }])
  const meta = new KvUnary(listener.address, undefined, { cluster: 'c', shard: 0, node: 'n1' })
  cleanups.push(
    () => listener.close(),
    () => meta.close(),
  )
  await meta.get(Buffer.from('k'), { deadlineMs: 5_000 })
  expect(asked).toEqual([expect.objectContaining({ 'kvorum-cluster': 'c', 'kvorum-shard': '0', 'kvorum-node': 'n1' })])
})

test('a node that does not answer ends in a deadline, with an honest outcome', async () => {
  const { admin } = await serve({})
  await expect(admin.status({ deadlineMs: 50 })).rejects.toMatchObject({
    code: 'DEADLINE_EXCEEDED',
    outcome: 'not-applied',
  })
  await expect(admin.bootstrap([], { deadlineMs: 50 })).rejects.toMatchObject({
    code: 'DEADLINE_EXCEEDED',
    outcome: 'unknown',
  })
})

test('close ends what is in progress', async () => {
  const { admin } = await serve({})
  const asked = Promise.allSettled([admin.status(), admin.campaign()])
  admin.close()
  const [read, write] = await asked
  expect(read).toMatchObject({ reason: { code: 'CANCELLED', outcome: 'not-applied' } })
  expect(write).toMatchObject({ reason: { code: 'CANCELLED', outcome: 'unknown' } })
  await expect(admin.campaign()).rejects.toMatchObject({ code: 'CANCELLED', outcome: 'not-applied' })
})

test('nobody there is UNAVAILABLE', async () => {
  const { admin, listener } = await serve({})
  await listener.close()
  await expect(admin.status()).rejects.toMatchObject({ code: 'UNAVAILABLE', outcome: 'not-applied' })
})

test('what gRPC found by itself is told in words of ours: who was asked, and for how long; its own are the cause', async () => {
  const { admin, listener } = await serve({})
  await expect(admin.status({ deadlineMs: 50 })).rejects.toMatchObject({
    message: `no answer from ${listener.address} within 50 ms`,
    cause: { details: expect.stringContaining('Deadline exceeded') },
  })
  await listener.close()
  const refused = await admin.status().catch((error: unknown) => error)
  expect(refused).toMatchObject({
    message: `no connection to ${listener.address}, or it broke (nobody listens there)`,
    cause: { details: expect.stringContaining('No connection established') },
  })
})

test('watch gives each status, and ends when it is told to', async () => {
  let cancelled = false
  const { admin } = await serve({
    watch: (call: WatchCall) => {
      call.on('cancelled', () => {
        cancelled = true
      })
      for (const term of [1n, 2n, 3n]) call.write({ status: { ...FULL, term } })
    },
  })
  const stop = new AbortController()
  const seen: bigint[] = []
  for await (const { term } of admin.watch(stop.signal)) {
    seen.push(term)
    if (term === 3n) stop.abort()
  }
  expect(seen).toEqual([1n, 2n, 3n])
  while (!cancelled) await new Promise(setImmediate)
})

test('leaving the loop ends the watch at the node', async () => {
  const cancelled = new Promise<void>((resolve) => {
    void serve({
      watch: (call: WatchCall) => {
        call.on('cancelled', resolve)
        call.write({ status: FULL })
      },
    }).then(async ({ admin }) => {
      for await (const _ of admin.watch(new AbortController().signal)) break
    })
  })
  await cancelled
})

test('a watch that breaks says so', async () => {
  const { admin, listener } = await serve({ watch: (call: WatchCall) => call.write({ status: FULL }) })
  const watching = async () => {
    for await (const _ of admin.watch(new AbortController().signal)) void listener.close()
  }
  const failure = await watching().catch((error: unknown) => error)
  expect(failure).toBeInstanceOf(KvError)
})
