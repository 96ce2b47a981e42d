import { describe, expect, test } from 'vitest'
import { PARTITIONS } from '../core/slot.js'
import { makeClusterMap } from '../core/topology.js'
import {
  InternalError,
  type KvError,
  MovingError,
  OverloadedError,
  PreconditionFailedError,
  UnavailableError,
  WrongShardError,
} from '../errors/index.js'
import { GET, oneShard, PUT, SimCluster } from './testing/sim-cluster.js'

describe('finding the leader', () => {
  test('the first operation asks all nodes, and the next ones only the leader', async () => {
    const sim = new SimCluster()
    sim.node('n2').lead()
    expect((await sim.run(sim.execute(GET))).answer).toMatchObject({ kind: 'get', value: Buffer.from('n2') })
    const asked = [...sim.nodes.values()].map((node) => node.connections.length)
    expect(asked).toEqual([1, 1, 1])
    const { ms } = await sim.run(sim.execute(PUT))
    expect(ms).toBe(0)
    expect(sim.node('n2').executed.at(-1)?.kind).toBe('put')
  })

  test('a hint with a newer term is followed at once', async () => {
    const sim = await SimCluster.withLeader()
    sim.elect('n3', 2n)
    expect((await sim.run(sim.execute(PUT))).ms).toBe(0)
    expect(sim.node('n3').executed).toHaveLength(1)
  })

  test('two nodes that name each other are not asked in turns without a wait', async () => {
    const sim = await SimCluster.withLeader()
    let asked = 0
    let term = 2n
    for (const [id, other] of [
      ['n1', 'n2'],
      ['n2', 'n1'],
    ] as const) {
      sim.node(id).answer = () => {
        asked++
        sim.node(id).hint = { nodeId: other, address: sim.node(other).address, term: term++ }
        return sim.node(id).notLeader()
      }
    }
    sim.node('n3').paused = true
    const { answer, ms } = await sim.run(sim.execute(PUT, { deadlineMs: 1000 }))
    expect(answer).toMatchObject({ code: 'DEADLINE_EXCEEDED', outcome: 'not-applied' })
    expect(ms).toBeGreaterThanOrEqual(900)
    expect(asked).toBeLessThan(150)
  })

  test('an old leader without a hint is not asked again and again: the search goes on elsewhere', async () => {
    const sim = await SimCluster.withLeader()
    sim.node('n1').follow()
    sim.node('n2').lead()
    sim.node('n3').follow(sim.node('n1'), 1n)
    const { answer, ms } = await sim.run(sim.execute(PUT))
    expect(answer).toMatchObject({ kind: 'put' })
    expect(ms).toBeLessThan(20)
  })

  test('followers that still name the leader that was lost do not send anybody back to it', async () => {
    const sim = new SimCluster()
    sim.node('n1').lead()
    sim.node('n2').follow()
    sim.node('n3').follow()
    await sim.run(sim.execute(GET))
    // No hint so far: the store does not know the term, and the old one would be news to it.
    sim.node('n2').follow(sim.node('n1'), 1n)
    sim.node('n3').follow(sim.node('n1'), 1n)
    sim.events.length = 0
    sim.node('n1').kill()
    // It comes back, but only as far as taking connections.
    Object.assign(sim.node('n1'), { reachable: true, paused: true })
    const write = sim.execute(PUT)
    await sim.advance(100)
    expect(sim.eventTypes).not.toContain('leader.found')
    sim.elect('n2', 2n)
    expect((await sim.run(write)).answer).toMatchObject({ kind: 'put' })
  })

  test('however many wait for a leader, the nodes are asked by one search', async () => {
    const sim = new SimCluster()
    let asked = 0
    for (const node of sim.nodes.values()) {
      node.answer = () => {
        asked++
        return node.notLeader()
      }
    }
    const waiting = Array.from({ length: 1000 }, () => sim.execute(PUT))
    await sim.advance(500)
    expect(asked).toBeLessThan(3 * 60)
    sim.node('n2').lead()
    const { ms } = await sim.run(waiting[0] as (typeof waiting)[number])
    expect(ms).toBeLessThanOrEqual(50)
    await Promise.all(waiting)
    // Once for the search, and then each exactly once.
    expect(sim.node('n2').executed.filter(({ kind }) => kind === 'put')).toHaveLength(1000)
  })

  test('a node that is alone leads as soon as it can be reached, whatever becomes of reads', async () => {
    const sim = new SimCluster(oneShard(1))
    const node = sim.node('n1')
    node.answer = (operation) => {
      if (operation.kind !== 'get') return node.execute(operation)
      return new UnavailableError('no reads here', { outcome: 'not-applied' })
    }
    await sim.run(sim.execute(PUT))
    node.kill()
    const write = sim.execute(PUT)
    await sim.advance(100)
    node.reachable = true
    const { answer, ms } = await sim.run(write)
    expect(answer).toMatchObject({ kind: 'put' })
    expect(ms).toBeLessThanOrEqual(125)
  })

  test('a search ends when nobody waits any more', async () => {
    const sim = new SimCluster()
    const { answer } = await sim.run(sim.execute(PUT, { deadlineMs: 100 }))
    expect(answer).toMatchObject({ code: 'DEADLINE_EXCEEDED', outcome: 'not-applied' })
    await sim.advance(100)
    expect(sim.clock.pending).toBe(0)
  })
})

describe('when the leader dies', () => {
  test('what was in flight goes to the new leader with its number, and what comes after, as soon as there is one', async () => {
    const sim = await SimCluster.withLeader()
    sim.node('n1').paused = true
    const inFlight = sim.execute(PUT)
    await sim.settle()
    sim.node('n1').kill()
    const next = sim.execute(PUT)
    await sim.advance(5)
    sim.elect('n2', 2n)
    const { answer, ms } = await sim.run(next)
    expect(answer).toMatchObject({ kind: 'put' })
    expect(ms).toBeLessThanOrEqual(20)
    expect((await sim.run(inFlight)).answer).toMatchObject({ kind: 'put' })
    expect(sim.node('n2').executed.filter(({ kind }) => kind === 'put')).toHaveLength(2)
    const numbers = [...sim.node('n1').stamps, ...sim.node('n2').stamps].map(({ sequence }) => Number(sequence))
    expect(numbers.sort()).toEqual([1, 2, 3])
    expect(sim.eventTypes).toEqual(expect.arrayContaining(['lane.down', 'leader.lost', 'leader.found']))
  })

  test('reads in flight go on with the new leader', async () => {
    const sim = await SimCluster.withLeader()
    sim.node('n1').paused = true
    const read = sim.execute(GET)
    await sim.settle()
    sim.elect('n3', 2n)
    sim.node('n1').kill()
    expect((await sim.run(read)).answer).toMatchObject({ value: Buffer.from('n3') })
  })
})

describe('when the leader is paused', () => {
  test('new operations find the next leader, although followers still name the paused one', async () => {
    const sim = await SimCluster.withLeader()
    sim.node('n1').paused = true
    const [write, read] = [sim.execute(PUT), sim.execute(GET)]
    await sim.advance(100)
    const later = sim.execute(PUT)
    await sim.advance(600)
    sim.elect('n2', 2n)
    const { ms } = await sim.run(later)
    expect(ms).toBeLessThanOrEqual(60)
    expect((await sim.run(read)).answer).toMatchObject({ value: Buffer.from('n2') })
    expect((await sim.run(write)).answer).toMatchObject({ kind: 'put' })
    expect(sim.clock.monotonic()).toBeLessThan(1000)
  })

  test('it is used again when it wakes up and still leads', async () => {
    const sim = await SimCluster.withLeader()
    sim.node('n1').paused = true
    const write = sim.execute(PUT)
    await sim.advance(1000)
    expect(sim.eventTypes).toEqual(['lane.stalled', 'leader.lost'])
    const later = sim.execute(PUT)
    await sim.advance(100)
    sim.node('n1').paused = false
    expect((await sim.run(later)).answer).toMatchObject({ kind: 'put' })
    expect((await sim.run(write)).answer).toMatchObject({ kind: 'put' })
    expect(sim.eventTypes).toContain('lane.recovered')
  })

  test('with all nodes paused everything ends by its deadline, and works again afterwards', async () => {
    const sim = await SimCluster.withLeader()
    for (const node of sim.nodes.values()) node.paused = true
    const operations = [GET, PUT, PUT, GET].map((operation) => sim.execute(operation, { deadlineMs: 2000 }))
    const answers = []
    for (const operation of operations) answers.push((await sim.run(operation)).answer)
    expect(sim.clock.monotonic()).toBeLessThan(2100)
    for (const answer of answers) expect(answer).toMatchObject({ code: 'DEADLINE_EXCEEDED' })
    const outcomes = answers.map((answer) => (answer as KvError).outcome)
    expect(outcomes).toEqual(['not-applied', 'unknown', 'unknown', 'not-applied'])
    for (const node of sim.nodes.values()) node.paused = false
    expect((await sim.run(sim.execute(PUT))).answer).toMatchObject({ kind: 'put' })
  })
})

describe('retry', () => {
  test('what was refused is tried again until the deadline, which says where the time went', async () => {
    const sim = await SimCluster.withLeader()
    sim.node('n1').answer = () => new OverloadedError('full', { outcome: 'not-applied', retryAfterMs: 30 })
    const { answer, ms } = await sim.run(sim.execute(PUT, { deadlineMs: 300 }))
    expect(answer).toMatchObject({ code: 'DEADLINE_EXCEEDED', outcome: 'not-applied' })
    expect((answer as KvError).message).toMatch(
      /reached its deadline of \d+ ms: asked \d+ times, last h:1; waited \d+ ms for a leader or to ask again; last failure: OVERLOADED: full/,
    )
    expect((answer as KvError).cause).toBeInstanceOf(OverloadedError)
    expect(ms).toBeGreaterThan(200)
    expect(ms).toBeLessThanOrEqual(330)
  })

  test('a write whose outcome is unknown is sent again with its number', async () => {
    const sim = await SimCluster.withLeader()
    let refusals = 2
    sim.node('n1').answer = (operation) => {
      if (operation.kind === 'get' || refusals-- <= 0) return sim.node('n1').execute(operation)
      return new UnavailableError('leadership lost while committing', { outcome: 'unknown' })
    }
    sim.node('n1').stamps.length = 0
    expect((await sim.run(sim.execute(PUT))).answer).toMatchObject({ kind: 'put' })
    expect(sim.node('n1').stamps.map(({ sequence }) => Number(sequence))).toEqual([2, 2, 2])
  })

  test('what is said of one attempt says nothing of an earlier one', async () => {
    const sim = await SimCluster.withLeader()
    let first = true
    sim.node('n1').answer = (operation) => {
      if (operation.kind === 'get') return sim.node('n1').execute(operation)
      const outcome = first ? 'unknown' : 'not-applied'
      first = false
      return new OverloadedError('full', { outcome, retryAfterMs: 50 })
    }
    const { answer } = await sim.run(sim.execute(PUT, { deadlineMs: 500 }))
    expect(answer).toMatchObject({ code: 'DEADLINE_EXCEEDED', outcome: 'unknown' })
  })

  test('but an answer of the state machine is that of every attempt', async () => {
    const sim = await SimCluster.withLeader()
    let first = true
    sim.node('n1').answer = (operation) => {
      if (operation.kind === 'get') return sim.node('n1').execute(operation)
      if (!first) return new PreconditionFailedError('other version', { outcome: 'not-applied', version: 5n })
      first = false
      return new UnavailableError('lost', { outcome: 'unknown' })
    }
    const { answer } = await sim.run(sim.execute(PUT))
    expect(answer).toMatchObject({ code: 'PRECONDITION_FAILED', outcome: 'not-applied' })
  })

  test('what cannot be helped fails at once', async () => {
    const sim = await SimCluster.withLeader()
    sim.node('n1').answer = () => new InternalError('bug', { outcome: 'not-applied' })
    const { answer, ms } = await sim.run(sim.execute(PUT))
    expect([(answer as KvError).code, ms]).toEqual(['INTERNAL', 0])
  })

  test('a partition that moves is waited for', async () => {
    const sim = await SimCluster.withLeader()
    sim.node('n1').answer = () => new MovingError('frozen', { outcome: 'not-applied', epoch: 2n })
    const write = sim.execute(PUT)
    await sim.advance(50)
    sim.node('n1').lead()
    expect((await sim.run(write)).answer).toMatchObject({ kind: 'put' })
    expect(sim.refreshes).toContain(2n)
  })
})

describe('the map', () => {
  /** Shard 2 with node m1 owns everything. */
  const moved = makeClusterMap({
    clusterId: 'sim',
    epoch: 2n,
    owners: Array(PARTITIONS).fill(2),
    shards: [...oneShard(3).shards, { id: 2, nodes: [{ id: 'm1', address: 'm:1' }] }],
  })

  test('WRONG_SHARD asks for a newer map, and the operation goes on by it', async () => {
    const sim = await SimCluster.withLeader()
    sim.addNode('m1', 'm:1')
    sim.node('m1').lead()
    sim.node('n1').answer = () => new WrongShardError('moved', { outcome: 'not-applied', epoch: 2n })
    const write = sim.execute(PUT)
    await sim.advance(20)
    expect(sim.refreshes).toContain(2n)
    sim.cell.publish(moved)
    const { answer, ms } = await sim.run(write)
    expect(answer).toMatchObject({ kind: 'put' })
    expect(ms).toBeLessThanOrEqual(50)
    expect(sim.node('m1').executed).toEqual([PUT])
  })

  test('a write that nobody may have applied gets a number of the new owner', async () => {
    const sim = await SimCluster.withLeader()
    await sim.run(sim.execute(PUT))
    sim.addNode('m1', 'm:1')
    sim.node('m1').lead()
    sim.node('n1').answer = () => new OverloadedError('full', { outcome: 'not-applied', retryAfterMs: 20 })
    const write = sim.execute(PUT)
    await sim.advance(10)
    sim.cell.publish(moved)
    expect((await sim.run(write)).answer).toMatchObject({ kind: 'put' })
    expect(sim.node('n1').stamps.map(({ sequence }) => Number(sequence))).toEqual([1, 2, 3])
    expect(sim.node('m1').stamps.map(({ sequence }) => Number(sequence))).toEqual([1])
  })

  test('a node that is somebody else is as good as down: its writes go elsewhere, and the map is asked for', async () => {
    const sim = new SimCluster()
    Object.assign(sim.node('n1'), { stranger: true })
    sim.node('n2').lead()
    const { answer, ms } = await sim.run(sim.execute(PUT))
    expect(answer).toMatchObject({ kind: 'put' })
    expect(ms).toBeLessThan(50)
    expect(sim.node('n1').executed).toEqual([])
    expect(sim.refreshes).toContain(2n)
    expect(sim.node('n1').meant[0]).toEqual({ cluster: 'sim', shard: 1, node: 'n1' })
  })

  test('a leader whose address somebody else took gives writes back that were sent, and they are served', async () => {
    const sim = await SimCluster.withLeader()
    sim.node('n1').kill()
    Object.assign(sim.node('n1'), { reachable: true, stranger: true })
    const write = sim.execute(PUT)
    await sim.advance(50)
    sim.elect('n3', 2n)
    expect((await sim.run(write)).answer).toMatchObject({ kind: 'put' })
    expect(sim.node('n3').executed.filter(({ kind }) => kind === 'put')).toHaveLength(1)
  })

  test('a node that is alone, and somebody else, gets its calls back until the map says more', async () => {
    const sim = new SimCluster(oneShard(1))
    sim.node('n1').lead()
    sim.node('n1').stranger = true
    const write = sim.execute(PUT)
    await sim.advance(200)
    expect(sim.refreshes).toContain(2n)
    expect(sim.node('n1').connections.length).toBeLessThan(12)
    sim.node('n1').stranger = false
    expect((await sim.run(write)).answer).toMatchObject({ kind: 'put' })
  })

  test('an older map is ignored', async () => {
    const sim = await SimCluster.withLeader()
    sim.cell.publish(oneShard(3, 5n))
    sim.store.updateMap(oneShard(1, 4n))
    sim.elect('n3', 2n)
    expect((await sim.run(sim.execute(PUT))).answer).toMatchObject({ kind: 'put' })
  })

  test('a shard that is gone hands on what waits for it', async () => {
    const sim = new SimCluster()
    sim.addNode('m1', 'm:1')
    sim.node('m1').lead()
    const write = sim.execute(PUT)
    await sim.advance(100)
    sim.cell.publish(makeClusterMap({ ...moved, shards: moved.shards.filter(({ id }) => id === 2) }))
    expect((await sim.run(write)).answer).toMatchObject({ kind: 'put' })
    expect(sim.node('n1').connections.every((connection) => connection.closed)).toBe(true)
  })

  test('a node that moved is met at its new address; what it was asked before is still answered', async () => {
    const sim = await SimCluster.withLeader()
    const [old] = sim.node('n1').connections
    const before = sim.execute(PUT)
    for (let turns = 0; turns < 2; turns++) await new Promise(setImmediate)
    sim.addNode('n1b', 'h:9')
    sim.node('n1b').lead()
    const nodes = [{ id: 'n1', address: 'h:9' }, ...(oneShard(3).shards[0]?.nodes.slice(1) ?? [])]
    sim.cell.publish(makeClusterMap({ ...oneShard(3, 2n), shards: [{ id: 1, nodes }] }))
    expect((await sim.run(before)).answer).toMatchObject({ kind: 'put' })
    expect(old?.closed).toBe(true)
    expect((await sim.run(sim.execute(PUT))).answer).toMatchObject({ kind: 'put' })
    expect(sim.node('n1b').executed.at(-1)).toEqual(PUT)
  })

  test('a leader that the map does not know makes it ask for a newer one', async () => {
    const sim = await SimCluster.withLeader()
    for (const node of sim.nodes.values()) node.follow()
    sim.node('n1').hint = { nodeId: 'new', address: 'x:1', term: 9n }
    const write = sim.execute(PUT, { deadlineMs: 100 })
    await sim.run(write)
    expect(sim.refreshes).toContain(2n)
  })
})
