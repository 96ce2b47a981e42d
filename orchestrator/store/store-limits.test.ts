import { describe, expect, test } from 'vitest'
import type { Operation } from '../core/operation.js'
import { makeClusterMap } from '../core/topology.js'
import { OverloadedError } from '../errors/index.js'
import { GET, oneShard, PUT, SimCluster } from './testing/sim-cluster.js'

describe('limits', () => {
  test.each<[string, Operation, string]>([
    ['an empty key', { kind: 'get', key: Buffer.alloc(0) }, 'INVALID_ARGUMENT'],
    ['a long key', { kind: 'delete', key: Buffer.alloc(4097) }, 'TOO_LARGE'],
    ['a large value', { kind: 'put', key: GET.key, value: Buffer.alloc((1 << 20) + 1) }, 'TOO_LARGE'],
  ])('%s is refused before it is sent', async (_, operation, code) => {
    const sim = new SimCluster()
    expect((await sim.run(sim.execute(operation))).answer).toMatchObject({ code, outcome: 'not-applied' })
    expect(sim.node('n1').connections).toHaveLength(0)
  })

  test.each([{ inFlightOperationsMax: 2 }, { inFlightBytesMax: 600 }])(
    'past %j: OVERLOADED at once',
    async (limits) => {
      const sim = new SimCluster(oneShard(3), limits)
      const held = [sim.execute(PUT), sim.execute(PUT)]
      const { answer, ms } = await sim.run(sim.execute(PUT))
      expect(answer).toMatchObject({ code: 'OVERLOADED', outcome: 'not-applied', retryAfterMs: 10 })
      expect(ms).toBe(0)
      sim.elect('n1', 1n)
      for (const operation of held) expect((await sim.run(operation)).answer).toMatchObject({ kind: 'put' })
      expect((await sim.run(sim.execute(PUT))).answer).toMatchObject({ kind: 'put' })
    },
  )

  test('what waits for a leader does not close the store to others', async () => {
    const sim = new SimCluster()
    expect(sim.store.full()).toBeUndefined()
    await sim.advance(200)
    const waiting = Array.from({ length: 5000 }, () => sim.execute(GET))
    await sim.advance(200)
    expect(sim.store.full()).toBeUndefined()
    sim.elect('n1', 1n)
    for (const operation of waiting) expect((await sim.run(operation)).answer).toMatchObject({ kind: 'get' })
  })

  test('what a full shard has sent away for a while does not close the store to others', async () => {
    const sim = new SimCluster()
    sim.elect('n1', 1n)
    await sim.run(sim.execute(GET))
    sim.node('n1').answer = () => new OverloadedError('full', { outcome: 'not-applied', retryAfterMs: 5000 })
    await sim.advance(200)
    const waiting = Array.from({ length: 5000 }, () => sim.execute(GET, { deadlineMs: 20_000 }))
    await sim.advance(200)
    expect(sim.store.full()).toBeUndefined()
    sim.store.close()
    for (const operation of waiting) await sim.run(operation)
  })

  test('an operation that is over the budget by itself is let in when nothing else is there', async () => {
    const sim = new SimCluster(oneShard(3), { inFlightBytesMax: 100 })
    sim.elect('n1', 1n)
    expect((await sim.run(sim.execute(PUT))).answer).toMatchObject({ kind: 'put' })
  })

  test('a deadline that has passed already is told so', async () => {
    const sim = new SimCluster()
    for (const deadlineMs of [0, -1]) {
      const { answer } = await sim.run(sim.execute(PUT, { deadlineMs }))
      expect(answer).toMatchObject({ code: 'DEADLINE_EXCEEDED', outcome: 'not-applied' })
    }
  })

  test.each<[string, unknown, object]>([
    ['a string for a key', { kind: 'get', key: 'k' }, {}],
    ['no value', { kind: 'put', key: GET.key }, {}],
    ['a number for a version', { kind: 'delete', key: GET.key, ifVersion: 1 }, {}],
    ['no number for a deadline', GET, { deadlineMs: Number.NaN }],
    ['null for a signal', GET, { signal: null }],
  ])('%s is a TypeError', async (_, operation, options) => {
    await expect(new SimCluster().store.execute(operation as Operation, options)).rejects.toThrow(TypeError)
  })
})

describe('giving up', () => {
  test('while it waits: not applied, and it is not sent later', async () => {
    const sim = new SimCluster()
    const abort = new AbortController()
    const write = sim.execute(PUT, { signal: abort.signal })
    await sim.advance(50)
    abort.abort(new Error('no time'))
    const { answer } = await sim.run(write)
    expect(answer).toMatchObject({ code: 'CANCELLED', outcome: 'not-applied', cause: new Error('no time') })
    sim.elect('n1', 1n)
    await sim.advance(200)
    expect(sim.node('n1').executed).toEqual([])
  })

  test('between two attempts: not applied, because the first one said so', async () => {
    const sim = await SimCluster.withLeader()
    sim.node('n1').answer = () => new OverloadedError('full', { outcome: 'not-applied', retryAfterMs: 100 })
    const abort = new AbortController()
    const write = sim.execute(PUT, { signal: abort.signal })
    await sim.advance(20)
    abort.abort()
    expect((await sim.run(write)).answer).toMatchObject({ code: 'CANCELLED', outcome: 'not-applied' })
  })

  test('while it is in flight: unknown; the late answer harms nobody', async () => {
    const sim = await SimCluster.withLeader()
    sim.node('n1').paused = true
    const abort = new AbortController()
    const write = sim.execute(PUT, { signal: abort.signal })
    await sim.settle()
    abort.abort()
    expect((await sim.run(write)).answer).toMatchObject({ code: 'CANCELLED', outcome: 'unknown' })
    sim.node('n1').paused = false
    await sim.advance(50)
    expect((await sim.run(sim.execute(GET))).answer).toMatchObject({ kind: 'get' })
  })

  test('a signal does not hide that the operation was refused', async () => {
    const sim = new SimCluster()
    const empty: Operation = { kind: 'get', key: Buffer.alloc(0) }
    const { answer } = await sim.run(sim.execute(empty, { signal: new AbortController().signal }))
    expect(answer).toMatchObject({ code: 'INVALID_ARGUMENT' })
  })

  test('before it begins: nothing is sent', async () => {
    const sim = await SimCluster.withLeader()
    const write = sim.execute(PUT, { signal: AbortSignal.abort() })
    expect((await sim.run(write)).answer).toMatchObject({ code: 'CANCELLED', outcome: 'not-applied' })
    expect(sim.node('n1').executed).toEqual([])
  })
})

describe('close', () => {
  test('ends everything with an honest outcome and leaves no timer and no connection', async () => {
    const sim = await SimCluster.withLeader()
    sim.node('n1').paused = true
    const sent = sim.execute(PUT)
    await sim.settle()
    const queued = sim.execute(PUT)
    sim.store.close()
    expect((await sim.run(sent)).answer).toMatchObject({ code: 'CANCELLED', outcome: 'unknown' })
    expect((await sim.run(queued)).answer).toMatchObject({ code: 'CANCELLED', outcome: 'not-applied' })
    expect((await sim.run(sim.execute(PUT))).answer).toMatchObject({ code: 'CANCELLED', outcome: 'not-applied' })
    expect(sim.clock.pending).toBe(0)
    for (const node of sim.nodes.values()) expect(node.connections.every(({ closed }) => closed)).toBe(true)
  })

  test('also what a shard owes that the map does not have any more', async () => {
    const sim = await SimCluster.withLeader()
    sim.node('n1').paused = true
    const sent = sim.execute(PUT)
    await sim.settle()
    const { owners, shards } = oneShard(1)
    const other = { id: 2, nodes: shards.flatMap(({ nodes }) => nodes).map((node) => ({ ...node, id: 'm1' })) }
    sim.cell.publish(makeClusterMap({ ...oneShard(1, 2n), owners: owners.map(() => 2), shards: [other] }))
    sim.store.close()
    expect((await sim.run(sent)).answer).toMatchObject({ code: 'CANCELLED', outcome: 'unknown' })
    expect(sim.clock.pending).toBe(0)
    expect(sim.node('n1').connections.every(({ closed }) => closed)).toBe(true)
  })

  test('also while a leader is searched for', async () => {
    const sim = new SimCluster()
    const waiting = sim.execute(PUT)
    await sim.advance(20)
    sim.store.close()
    expect((await sim.run(waiting)).answer).toMatchObject({ code: 'CANCELLED', outcome: 'not-applied' })
    expect(sim.clock.pending).toBe(0)
  })
})

describe('get, put and delete', () => {
  test('say what they did', async () => {
    const sim = await SimCluster.withLeader()
    const [got, put, deleted] = [
      sim.store.get(GET.key),
      sim.store.put(GET.key, Buffer.from('v')),
      sim.store.delete(GET.key),
    ]
    expect((await sim.run(got)).answer).toMatchObject({ found: true, version: 1n })
    expect((await sim.run(put)).answer).toEqual({ kind: 'put', version: 1n })
    expect((await sim.run(deleted)).answer).toEqual({ kind: 'delete', existed: true })
  })

  test('carry their conditions', async () => {
    const sim = await SimCluster.withLeader()
    await sim.run(sim.store.put(GET.key, Buffer.from('v'), { ifVersion: 0n }))
    await sim.run(sim.store.delete(GET.key, { ifVersion: 3n }))
    expect(sim.node('n1').executed).toMatchObject([
      { kind: 'put', ifVersion: 0n },
      { kind: 'delete', ifVersion: 3n },
    ])
  })
})
