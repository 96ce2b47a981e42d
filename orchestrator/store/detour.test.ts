import { describe, expect, test } from 'vitest'
import { GET, oneShard, PUT, SimCluster } from './testing/sim-cluster.js'

/** A shard whose nodes are out of reach, and gateways that are not. */
function remote(...gateways: string[]): SimCluster {
  const sim = new SimCluster(oneShard(3), {}, gateways)
  for (const id of ['n1', 'n2', 'n3']) sim.node(id).reachable = false
  return sim
}

function reach(sim: SimCluster, ...ids: string[]): void {
  for (const id of ids) sim.node(id).reachable = true
}

describe('a shard none of whose nodes can be reached', () => {
  test('is asked through a gateway after 250 ms, and at once from then on', async () => {
    const sim = remote('g1')
    const first = await sim.run(sim.execute(PUT))
    expect(first.answer).toMatchObject({ kind: 'put' })
    expect(first.ms).toBeGreaterThanOrEqual(250)
    expect(first.ms).toBeLessThan(320)
    expect((await sim.run(sim.execute(PUT))).ms).toBe(0)
    expect((await sim.run(sim.execute(GET))).answer).toMatchObject({ value: Buffer.from('g1') })
  })

  test('nor if strangers listen at their addresses', async () => {
    const sim = remote('g1')
    reach(sim, 'n1', 'n2', 'n3')
    for (const id of ['n1', 'n2', 'n3']) sim.node(id).stranger = true
    expect((await sim.run(sim.execute(PUT))).ms).toBeLessThan(400)
    expect((await sim.run(sim.execute(PUT))).ms).toBe(0)
  })

  test('gateways are not asked who they are', async () => {
    const sim = remote('g1')
    await sim.run(sim.execute(GET))
    expect(sim.node('g1').meant).toEqual([undefined])
  })

  test('is asked directly again as soon as its leader can be reached', async () => {
    const sim = remote('g1')
    await sim.run(sim.execute(GET))
    reach(sim, 'n1', 'n2', 'n3')
    sim.elect('n2', 1n)
    sim.node('g1').lead()
    for (let round = 0; round < 30; round++) {
      await sim.run(sim.execute(GET))
      await sim.advance(25)
    }
    sim.node('g1').executed.length = 0
    expect((await sim.run(sim.execute(GET))).answer).toMatchObject({ value: Buffer.from('n2') })
    expect(sim.node('g1').executed).toEqual([])
    // It is a shard like any other again: an election is waited for.
    for (const id of ['n1', 'n2', 'n3']) sim.node(id).follow()
    const write = sim.execute(PUT)
    await sim.advance(600)
    sim.elect('n1', 2n)
    expect((await sim.run(write)).answer).toMatchObject({ kind: 'put' })
    expect(sim.node('n1').executed.at(-1)).toMatchObject({ kind: 'put' })
  })

  test('operations with less time than that get through, too, but for the first', async () => {
    const sim = remote('g1')
    const ends: unknown[] = []
    for (let round = 0; round < 5; round++) ends.push((await sim.run(sim.execute(GET, { deadlineMs: 100 }))).answer)
    expect(ends[0]).toMatchObject({ code: 'DEADLINE_EXCEEDED' })
    expect(ends.at(-1)).toMatchObject({ kind: 'get' })
  })

  test('nobody tries its nodes while nobody asks for anything', async () => {
    const sim = remote('g1')
    await sim.run(sim.execute(GET))
    await sim.advance(2000)
    expect(sim.clock.pending).toBe(0)
  })
})

test('an election is not a reason to ask a gateway', async () => {
  const sim = new SimCluster(oneShard(3), {}, ['g1'])
  for (const id of ['n1', 'n2', 'n3']) sim.node(id).follow()
  const write = sim.execute(PUT)
  await sim.advance(600)
  sim.elect('n2', 1n)
  expect((await sim.run(write)).answer).toMatchObject({ kind: 'put' })
  expect(sim.node('g1').connections).toEqual([])
})

test('a leader that is out of reach is: its followers name it in vain', async () => {
  const sim = new SimCluster(oneShard(3), {}, ['g1'])
  sim.elect('n1', 1n)
  sim.node('g1').lead()
  sim.node('n1').reachable = false
  const { answer, ms } = await sim.run(sim.execute(PUT))
  expect(answer).toMatchObject({ kind: 'put' })
  expect(ms).toBeLessThan(1200)
  for (let round = 0; round < 50; round++) {
    const again = await sim.run(sim.execute(GET))
    expect(again.answer).toMatchObject({ value: Buffer.from('g1') })
    expect(again.ms).toBe(0)
    await sim.advance(25)
  }
})

describe('several gateways', () => {
  test('one that dies is replaced by another, and nothing fails', async () => {
    const sim = remote('g1', 'g2')
    await sim.run(sim.execute(GET))
    const [used, other] = sim.node('g1').executed.length > 0 ? ['g1', 'g2'] : ['g2', 'g1']
    sim.node(used).kill()
    const { answer, ms } = await sim.run(sim.execute(GET))
    expect(answer).toMatchObject({ value: Buffer.from(other) })
    expect(ms).toBeLessThan(50)
  })

  test('while none can be reached, calls wait for whoever comes first', async () => {
    const sim = remote('g1', 'g2')
    await sim.run(sim.execute(GET))
    for (const id of ['g1', 'g2']) sim.node(id).kill()
    const waiting = sim.execute(PUT)
    await sim.advance(1000)
    reach(sim, 'g2')
    const { answer, ms } = await sim.run(waiting)
    expect(answer).toMatchObject({ kind: 'put' })
    expect(ms).toBeLessThan(200)
  })

  test('one that serves another cluster is not asked', async () => {
    const sim = remote('g1', 'g2')
    sim.distrusted.add('g1')
    expect((await sim.run(sim.execute(GET))).answer).toMatchObject({ value: Buffer.from('g2') })
    sim.distrusted.add('g2')
    const { answer } = await sim.run(sim.execute(GET, { deadlineMs: 500 }))
    expect(answer).toMatchObject({ code: 'DEADLINE_EXCEEDED', outcome: 'not-applied' })
    sim.distrusted.clear()
    expect((await sim.run(sim.execute(GET))).answer).toMatchObject({ kind: 'get' })
  })
})

test('after close nothing is left of the way through a gateway', async () => {
  const sim = remote('g1', 'g2')
  await sim.run(sim.execute(GET))
  sim.store.close()
  expect(sim.clock.pending).toBe(0)
  for (const node of sim.nodes.values()) expect(node.connections.every(({ closed }) => closed)).toBe(true)
})

test('without a known gateway nothing changes', async () => {
  const sim = remote()
  const { answer } = await sim.run(sim.execute(PUT, { deadlineMs: 600 }))
  expect(answer).toMatchObject({ code: 'DEADLINE_EXCEEDED', outcome: 'not-applied' })
})
