import { describe, expect, test } from 'vitest'
import type { Operation } from '../core/operation.js'
import { UnavailableError } from '../errors/index.js'
import { GET, PUT, SimCluster } from './testing/sim-cluster.js'

const STALE: Operation = { kind: 'get', key: GET.key, staleMs: 500 }

/** Three nodes, n1 leads; every node answers reads with a bound, and only those, as a node does. */
async function withReplicas(): Promise<SimCluster> {
  const sim = await SimCluster.withLeader()
  for (const id of ['n2', 'n3']) proves(sim, id)
  return sim
}

function proves(sim: SimCluster, id: string): void {
  const node = sim.node(id)
  node.answer = (operation) =>
    operation.kind === 'get' && operation.staleMs !== undefined ? node.execute(operation) : node.notLeader()
}

function provesNothing(sim: SimCluster, id: string): () => number {
  let asked = 0
  sim.node(id).answer = () => {
    asked++
    return new UnavailableError('no proof', { outcome: 'not-applied' })
  }
  return () => asked
}

function answersOf(sim: SimCluster): number[] {
  return ['n1', 'n2', 'n3'].map((id) => sim.node(id).executed.length)
}

describe('reads with a bound of staleness', () => {
  test('are spread over all replicas, and carry their bound', async () => {
    const sim = await withReplicas()
    for (let i = 0; i < 30; i++) await sim.run(sim.execute(STALE))
    expect(answersOf(sim)).toEqual([10, 10, 10])
    expect(sim.node('n3').executed[0]).toMatchObject({ kind: 'get', staleMs: 500 })
  })

  test('leave all others to the leader', async () => {
    const sim = await withReplicas()
    await sim.run(Promise.all([sim.execute(GET), sim.execute(PUT), sim.execute({ ...STALE, staleMs: 0 })]).then(last))
    expect(answersOf(sim)).toEqual([3, 0, 0])
  })

  test('go on to the next replica at once when one has no proof', async () => {
    const sim = await withReplicas()
    const asked = provesNothing(sim, 'n2')
    for (let i = 0; i < 9; i++) {
      const { answer, ms } = await sim.run(sim.execute(STALE))
      expect(answer).toMatchObject({ kind: 'get' })
      expect(ms).toBe(0)
    }
    expect(asked()).toBeGreaterThan(0)
  })

  test('come to the leader in the end, which is not taken for lost when it has no proof either', async () => {
    const sim = await withReplicas()
    const asked = ['n1', 'n2', 'n3'].map((id) => provesNothing(sim, id))
    const { answer, ms } = await sim.run(sim.execute(STALE, { deadlineMs: 1000 }))
    expect(answer).toMatchObject({ code: 'DEADLINE_EXCEEDED', outcome: 'not-applied', cause: { code: 'UNAVAILABLE' } })
    expect(ms).toBeGreaterThanOrEqual(900)
    for (const count of asked) expect(count()).toBeLessThan(100)
    expect(sim.eventTypes).not.toContain('leader.lost')
  })

  test('do without a leader', async () => {
    const sim = await withReplicas()
    sim.node('n1').kill()
    for (let i = 0; i < 6; i++) expect((await sim.run(sim.execute(STALE))).ms).toBeLessThan(50)
    expect(answersOf(sim)).toEqual([0, 3, 3])
  })

  test('do not wait for a replica that is stopped, once it is known to be', async () => {
    const sim = await withReplicas()
    for (let i = 0; i < 3; i++) await sim.run(sim.execute(STALE))
    sim.node('n3').paused = true
    await sim.run(Promise.all(Array.from({ length: 6 }, () => sim.execute(STALE))).then(last))
    // Past the silence after which the connection is given up: the next one comes only as far as being made.
    await sim.advance(10_000)
    for (let i = 0; i < 12; i++) expect((await sim.run(sim.execute(STALE))).ms).toBe(0)
  })

  test('a node that does not know of bounds sends them on', async () => {
    const sim = await SimCluster.withLeader()
    for (let i = 0; i < 6; i++) {
      expect((await sim.run(sim.execute(STALE))).answer).toMatchObject({ value: Buffer.from('n1') })
    }
  })

  test.each([[-1], [0.5], [Number.NaN], [Number.POSITIVE_INFINITY], ['5']])('a bound of %s is a mistake', (staleMs) => {
    const sim = new SimCluster()
    const operation = { ...STALE, staleMs } as Operation
    return expect(sim.store.execute(operation)).rejects.toThrow(TypeError)
  })
})

function last<T>(answers: readonly T[]): T {
  return answers.at(-1) as T
}
