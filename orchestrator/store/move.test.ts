import { describe, expect, test } from 'vitest'
import type { Operation, Result, Stamp } from '../core/operation.js'
import type { KvError } from '../errors/index.js'
import { append, KEY, MoveSim, mapAfter, mapWithoutGiver, READ } from './testing/move-sim.js'

/** Whatever happened before, the Store holds nothing when it is closed. */
async function mustLeaveNothing({ cluster }: MoveSim): Promise<void> {
  cluster.store.close()
  await cluster.settle()
  expect(cluster.clock.pending).toBe(0)
  for (const node of cluster.nodes.values()) expect(node.connections.every(({ closed }) => closed)).toBe(true)
}

describe('a write that nobody may have applied', () => {
  test('is asked again with its number while the partition is frozen, and goes on there when that was for nothing', async () => {
    const sim = await MoveSim.warm()
    sim.freeze()
    const write = sim.cluster.execute(append('1'))
    await sim.cluster.advance(40)
    sim.giver.ownership = 'owned'
    const { answer, ms } = await sim.cluster.run(write)
    expect(answer).toMatchObject({ kind: 'append', length: 2 })
    expect(ms).toBeLessThanOrEqual(10)
    expect(new Set(sim.giver.sequences.slice(1))).toEqual(new Set([2]))
    expect(sim.receiver.opened).toBe(0)
    await mustLeaveNothing(sim)
  })

  test('goes to the new owner with a number of its own as soon as the map is there, without any wait', async () => {
    const sim = await MoveSim.warm()
    sim.freeze()
    const write = sim.cluster.execute(append('1'))
    await sim.cluster.advance(30)
    sim.release()
    await sim.cluster.advance(30)
    sim.activate()
    expect(sim.cluster.refreshes).toContain(2n)
    sim.publish()
    expect(await sim.cluster.run(write)).toMatchObject({ answer: { kind: 'append', length: 2 }, ms: 0 })
    expect(sim.tokens).toEqual(['0', '1'])
    expect(sim.receiver.sequences).toEqual([1])
    await mustLeaveNothing(sim)
  })

  test('asks the new owner again that does not serve yet, with the same number', async () => {
    const sim = await MoveSim.warm()
    sim.release()
    sim.publish()
    const write = sim.cluster.execute(append('1'))
    await sim.cluster.advance(30)
    sim.activate()
    expect((await sim.cluster.run(write)).answer).toMatchObject({ kind: 'append', length: 2 })
    expect(sim.receiver.sequences.length).toBeGreaterThan(2)
    expect(new Set(sim.receiver.sequences)).toEqual(new Set([1]))
  })

  test('does not wait for a number of the old owner', async () => {
    const sim = new MoveSim()
    sim.cluster.node('a').paused = true
    const write = sim.cluster.execute(append('1'))
    await sim.cluster.advance(20)
    sim.move()
    expect(await sim.cluster.run(write)).toMatchObject({ answer: { kind: 'append' }, ms: 0 })
    await mustLeaveNothing(sim)
  })

  test('does not wait for the leader of the old owner', async () => {
    const sim = await MoveSim.warm()
    sim.cluster.node('a').kill()
    const write = sim.cluster.execute(append('1'))
    await sim.cluster.advance(20)
    sim.move()
    expect(await sim.cluster.run(write)).toMatchObject({ answer: { kind: 'append' }, ms: 0 })
  })
})

describe.each(['before', 'after'] as const)('a write in doubt that is asked again %s the map is there', (when) => {
  /** Sends a write of which the giver loses something, and moves the partition. */
  async function doubtful(loses: 'answer' | 'write'): Promise<{ sim: MoveSim; answer: Result | KvError }> {
    const sim = await MoveSim.warm()
    sim.giver.loses = loses
    const write = sim.cluster.execute(append('1'))
    await sim.cluster.settle()
    sim.release()
    sim.activate()
    if (when === 'before') await sim.cluster.advance(100)
    sim.publish()
    const { answer } = await sim.cluster.run(write)
    await mustLeaveNothing(sim)
    return { sim, answer }
  }

  test('gets its first answer from the old owner, which had applied it', async () => {
    const { sim, answer } = await doubtful('answer')
    expect(answer).toMatchObject({ kind: 'append', version: 2n, length: 2 })
    expect(sim.tokens).toEqual(['0', '1'])
    expect(sim.receiver.sequences).toEqual([])
  })

  test('is applied by the new owner when the old one says that it never will be there', async () => {
    const { sim, answer } = await doubtful('write')
    expect(answer).toMatchObject({ kind: 'append', version: 2n, length: 2 })
    expect(sim.tokens).toEqual(['0', '1'])
    expect(sim.giver.sequences.slice(0, 2)).toEqual([1, 2])
    expect(sim.receiver.sequences).toEqual([1])
  })
})

test('an owner that the map does not explain makes a newer one wanted, also when the epochs are the same', async () => {
  const sim = await MoveSim.warm()
  // A node has moved while the partition did.
  sim.publish({ ...mapAfter(), owners: mapAfter().owners.map(() => 1) })
  sim.release()
  const write = sim.cluster.execute(append('1'))
  await sim.cluster.advance(20)
  expect(sim.cluster.refreshes.at(-1)).toBe(3n)
  sim.activate()
  sim.publish({ ...mapAfter(), epoch: 3n })
  expect((await sim.cluster.run(write)).answer).toMatchObject({ kind: 'append', length: 2 })
})

// A node may say MOVING before its state machine is asked, while the first copy is still in the log.
test('MOVING says nothing of an earlier attempt', async () => {
  const sim = await MoveSim.warm()
  sim.giver.loses = 'write'
  const write = sim.cluster.execute(append('1'))
  await sim.cluster.settle()
  const late = sim.cluster.node('a').stamps.at(-1)
  sim.freeze()
  await sim.cluster.advance(20)
  sim.giver.ownership = 'owned'
  sim.giver.apply(append('1'), late)
  sim.move()
  expect((await sim.cluster.run(write)).answer).toMatchObject({ kind: 'append', length: 2 })
  expect(sim.tokens).toEqual(['0', '1'])
  expect(sim.receiver.sequences).toEqual([])
})

test('reads are served while the partition is frozen, and by the new owner as soon as the map is there', async () => {
  const sim = await MoveSim.warm()
  sim.freeze()
  expect(await sim.cluster.run(sim.cluster.execute(READ))).toMatchObject({ answer: { version: 1n }, ms: 0 })
  sim.release()
  const read = sim.cluster.execute(READ)
  await sim.cluster.advance(60)
  sim.activate()
  sim.publish()
  expect(await sim.cluster.run(read)).toMatchObject({ answer: { kind: 'get', found: true, version: 1n }, ms: 0 })
})

test('a new owner is known to lead by what it says of a partition that it does not serve yet', async () => {
  const sim = await MoveSim.warm()
  sim.cluster.node('b').reachable = false
  sim.release()
  sim.publish()
  const read = sim.cluster.execute(READ)
  await sim.cluster.advance(20)
  sim.cluster.node('b').reachable = true
  await sim.cluster.advance(200)
  expect(sim.cluster.events).toContainEqual(expect.objectContaining({ type: 'leader.found', shard: 2 }))
  sim.activate()
  expect((await sim.cluster.run(read)).answer).toMatchObject({ found: true })
})

describe('a shard that has left the map', () => {
  async function gone(loses: 'answer' | 'write'): Promise<{ sim: MoveSim; write: Promise<Result | KvError> }> {
    const sim = await MoveSim.warm()
    sim.giver.loses = loses
    const write = sim.cluster.execute(append('1'), { deadlineMs: 2000 })
    await sim.cluster.settle()
    sim.release()
    sim.activate()
    sim.cluster.node('a').reachable = false
    sim.publish(mapWithoutGiver())
    await sim.cluster.advance(200)
    return { sim, write }
  }

  test.each(['answer', 'write'] as const)('is asked about a write in doubt whose %s was lost', async (loses) => {
    const { sim, write } = await gone(loses)
    sim.cluster.node('a').reachable = true
    expect((await sim.cluster.run(write)).answer).toMatchObject({ kind: 'append', length: 2 })
    expect(sim.tokens).toEqual(['0', '1'])
    expect(sim.cluster.node('a').connections.every(({ closed }) => closed)).toBe(true)
    await mustLeaveNothing(sim)
  })

  test('is asked until the deadline at the longest', async () => {
    const { sim, write } = await gone('answer')
    const { answer } = await sim.cluster.run(write)
    expect(answer).toMatchObject({ code: 'DEADLINE_EXCEEDED', outcome: 'unknown', shard: 1 })
    const asked = sim.cluster.node('a').connections.length
    await sim.cluster.advance(1000)
    expect(sim.cluster.node('a').connections).toHaveLength(asked)
    expect(sim.cluster.clock.pending).toBe(0)
  })

  test('is closed with the Store, whatever is in doubt there', async () => {
    const { sim, write } = await gone('answer')
    await mustLeaveNothing(sim)
    expect(await write).toMatchObject({ code: 'CANCELLED', outcome: 'unknown' })
  })

  test('is closed at once when nobody asks it', async () => {
    const sim = await MoveSim.warm()
    sim.cluster.node('a').paused = true
    sim.publish(mapWithoutGiver())
    expect(sim.cluster.node('a').connections.map(({ closed }) => closed)).toEqual([true])
  })
})

describe("a client's number, as a gateway passes it on", () => {
  const stamp = (shard: number, sequence: number, id: Uint8Array = new Uint8Array(16)): Stamp => ({
    session: { id, floor: 1, shard },
    sequence,
  })

  function submit({ cluster }: MoveSim, operation: Operation, passed?: Stamp): Promise<Result | KvError> {
    return new Promise((resolve) => {
      cluster.store.submit(operation, 5000, (error, result) => resolve(error ?? (result as Result)), passed)
    })
  }

  /** A session as a client would open it. */
  async function openedIn(sim: MoveSim, shard: number): Promise<Uint8Array> {
    const opening = submit(sim, { kind: 'open-session', key: KEY, nonce: 1n, expiryMs: 1000, shard })
    const { answer } = await sim.cluster.run(opening)
    if (!('kind' in answer) || answer.kind !== 'open-session') throw new Error('no session', { cause: answer })
    return answer.id
  }

  test('goes to the shard of its session, whoever owns the key', async () => {
    const sim = await MoveSim.warm()
    const id = await openedIn(sim, 2)
    const write = submit(sim, append('1'), stamp(2, 1, id))
    await sim.cluster.advance(20)
    sim.release()
    sim.activate()
    expect((await sim.cluster.run(write)).answer).toMatchObject({ kind: 'append' })
    expect([sim.giver.sequences, new Set(sim.receiver.sequences)]).toEqual([[1], new Set([1])])
  })

  test('is refused by that shard when the key is no longer its own, and the client is told', async () => {
    const sim = await MoveSim.warm()
    const id = await openedIn(sim, 1)
    sim.move()
    const { answer } = await sim.cluster.run(submit(sim, append('1'), stamp(1, 1, id)))
    expect(answer).toMatchObject({ code: 'WRONG_SHARD', outcome: 'not-applied', epoch: 2n })
    expect([sim.tokens, sim.receiver.sequences]).toEqual([['0'], []])
  })

  test('of no shard goes by its key', async () => {
    const sim = await MoveSim.warm()
    const id = await openedIn(sim, 0)
    expect(sim.giver.opened).toBe(2)
    expect((await sim.cluster.run(submit(sim, append('1'), stamp(0, 1, id)))).answer).toMatchObject({ kind: 'append' })
  })

  test('of a shard that is not in the map is one of a session that nobody knows', async () => {
    const sim = await MoveSim.warm()
    sim.publish(mapWithoutGiver())
    const { answer, ms } = await sim.cluster.run(submit(sim, append('1'), stamp(1, 1)))
    expect([answer, ms]).toMatchObject([{ code: 'SESSION_EXPIRED', outcome: 'not-applied' }, 0])
    expect(sim.receiver.sequences).toEqual([])
  })

  test('of a shard that is not in the map yet, while the client has a newer one, waits for the map', async () => {
    const sim = await MoveSim.warm()
    const id = await openedIn(sim, 1)
    sim.publish(mapWithoutGiver())
    const { session, sequence } = stamp(1, 1, id)
    const write = submit(sim, append('1'), { session: { ...session, epoch: 4n }, sequence })
    await sim.cluster.advance(60)
    expect(sim.cluster.refreshes.at(-1)).toBe(4n)
    sim.publish({ ...mapAfter(), epoch: 4n, owners: mapAfter().owners.map(() => 1) })
    expect((await sim.cluster.run(write)).answer).toMatchObject({ kind: 'append', length: 2 })
    expect(sim.tokens).toEqual(['0', '1'])
  })

  test('an opening for a shard that is not in the map waits for one that has it', async () => {
    const sim = new MoveSim()
    sim.publish(mapWithoutGiver())
    const opening = submit(sim, { kind: 'open-session', key: KEY, nonce: 1n, expiryMs: 1000, shard: 1 })
    await sim.cluster.advance(60)
    sim.publish({ ...mapAfter(), epoch: 4n })
    expect((await sim.cluster.run(opening)).answer).toMatchObject({ kind: 'open-session' })
    expect([sim.giver.opened, sim.receiver.opened]).toEqual([1, 0])
  })
})
