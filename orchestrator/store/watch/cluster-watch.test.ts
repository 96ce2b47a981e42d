import { describe, expect, test } from 'vitest'
import { systemClock } from '../../core/clock.js'
import { MapCell } from '../../core/map-source.js'
import { seededRng } from '../../core/rng.js'
import { PARTITIONS, partitionOf } from '../../core/slot.js'
import { ManualClock } from '../../core/testing/manual-clock.js'
import { makeClusterMap } from '../../core/topology.js'
import { CancelledError, CompactedError, UnavailableError } from '../../errors/index.js'
import type { HeldPartitions, NodeEvent, NodeMessage, Position, Watched, WatchLinks } from '../../wire/watch.js'
import { watchCluster } from './cluster-watch.js'
import { decodeToken } from './token.js'

const WATCHED: Watched = { prefix: new Uint8Array() }
const ALL: HeldPartitions = { first: 0, last: PARTITIONS - 1, epoch: 1n, holding: 'owned' }
const at = (index: number): Position => ({ index: BigInt(index), skip: 0 })
const begins = (index: number, ...partitions: HeldPartitions[]): NodeMessage => ({
  events: [],
  next: at(index),
  partitions,
})
const tells = (...events: NodeEvent[]): NodeMessage => ({
  events,
  next: (events.at(-1) as NodeEvent).next,
  partitions: [],
})
const put = (key: string, version: number, index: number): NodeEvent => ({
  change: { type: 'put', key: Buffer.from(key), value: new Uint8Array(), version: BigInt(version) },
  next: at(index),
})
const compacted = () => new CompactedError('not kept', { outcome: 'not-applied' })

/** Nodes that answer as a script says, by shard; their addresses are their names. */
class Nodes implements Pick<WatchLinks, 'watch'> {
  readonly asked: string[] = []
  open = 0
  readonly #script: (node: string, from: Position | undefined) => readonly (NodeMessage | Error)[]

  constructor(script: (node: string, from: Position | undefined) => readonly (NodeMessage | Error)[]) {
    this.#script = script
  }

  async *watch(address: string, _peer: unknown, _watched: Watched, from: Position | undefined, signal: AbortSignal) {
    this.asked.push(`${address} ${from === undefined ? 'now' : from.index}`)
    this.open++
    try {
      for (const step of this.#script(address, from)) {
        if (step instanceof Error) throw step
        yield step
      }
      if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
    } finally {
      this.open--
    }
  }
}

function mapOf(epoch: bigint, owner: number, shards: readonly number[], replicas = 1) {
  const nodesOf = (id: number) =>
    Array.from({ length: replicas }, (_, number) => ({ id: `n${id}${number}`, address: `${id}-${number}` }))
  return makeClusterMap({
    clusterId: 'c',
    epoch,
    owners: Array.from({ length: PARTITIONS }, () => owner),
    shards: shards.map((id) => ({ id, nodes: nodesOf(id) })),
  })
}

function watch(links: Nodes, maps: MapCell, token?: Uint8Array, signal = new AbortController().signal) {
  return watchCluster({ maps, links, clock: systemClock, rng: seededRng(1) }, { watched: WATCHED, token, signal })
}

async function tokenAt(index: number): Promise<Uint8Array> {
  const nodes = new Nodes(() => [begins(index, ALL)])
  const messages = watch(nodes, new MapCell(mapOf(1n, 1, [1])))
  const { value } = await messages.next()
  await messages.return(undefined)
  expect(nodes.open).toBe(0)
  return (value as { token: Uint8Array }).token
}

test('a replica that does not keep the position any more: another one does', async () => {
  const token = await tokenAt(5)
  const nodes = new Nodes((node) => (node === '1-2' ? [begins(5, ALL), tells(put('k', 1, 6))] : [compacted()]))
  const messages = watch(nodes, new MapCell(mapOf(1n, 1, [1], 3)), token)
  expect((await messages.next()).value).toMatchObject({ events: [] })
  expect((await messages.next()).value).toMatchObject({ events: [{ change: { version: 1n } }] })
  expect(new Set(nodes.asked).size).toBe(nodes.asked.length)
  await messages.return(undefined)
  expect(nodes.open).toBe(0)
})

test('none does: COMPACTED, with the token of now', async () => {
  const token = await tokenAt(5)
  const nodes = new Nodes((_, from) => (from === undefined ? [begins(90, ALL)] : [compacted()]))
  const error = await watch(nodes, new MapCell(mapOf(1n, 1, [1], 3)), token)
    .next()
    .catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(CompactedError)
  const now = decodeToken(Buffer.from((error as CompactedError).token ?? '', 'base64url'), 'c')
  expect(now.positions).toEqual(new Map([[1, at(90)]]))
  expect(nodes.open).toBe(0)
})

test('a stream that breaks goes on where it was, from another node', async () => {
  let broken = false
  const nodes = new Nodes((_, from) => {
    if (broken) return [begins(Number(from?.index)), tells(put('k', 2, 8))]
    broken = true
    return [begins(5, ALL), tells(put('k', 1, 7)), new UnavailableError('it died', { outcome: 'not-applied' })]
  })
  const messages = watch(nodes, new MapCell(mapOf(1n, 1, [1], 2)))
  const versions: bigint[] = []
  for await (const { events } of messages) {
    versions.push(...events.map(({ change }) => change.version))
    if (versions.length === 2) break
  }
  expect(versions).toEqual([1n, 2n])
  expect(nodes.asked.map((asked) => asked.split(' ')[1])).toEqual(['now', '7'])
})

test('a new shard is heard from its beginning, and only behind the release', async () => {
  const k = Buffer.from('k')
  const moved: HeldPartitions = { first: partitionOf(k), last: partitionOf(k), epoch: 2n, holding: 'owned' }
  let release: (message: NodeMessage) => void = () => {}
  const released = new Promise<NodeMessage>((resolve) => {
    release = resolve
  })
  const nodes: Pick<WatchLinks, 'watch'> = {
    async *watch(address, _peer, _watched, from, signal) {
      if (address === '1-0') {
        yield begins(5, ALL)
        yield await released
      } else {
        expect(from).toEqual(at(0))
        yield begins(1)
        yield tells({ change: { type: 'activated', partitions: moved }, next: at(2) }, put('k', 2, 3))
      }
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
    },
  }
  const maps = new MapCell(mapOf(1n, 1, [1]))
  const gone = new AbortController()
  const messages = watchCluster(
    { maps, links: nodes, clock: systemClock, rng: seededRng(1) },
    { watched: WATCHED, token: undefined, signal: gone.signal },
  )
  await messages.next()
  maps.publish(mapOf(2n, 1, [1, 2]))
  const told = (async () => {
    const versions: bigint[] = []
    for await (const { events } of messages) {
      versions.push(...events.map(({ change }) => change.version))
      if (versions.length === 2) break
    }
    return versions
  })()
  const over = { ...moved, holding: 'gone' } as const
  release(tells(put('k', 1, 6), { change: { type: 'released', partitions: over }, next: at(7) }))
  expect(await told).toEqual([1n, 2n])
})

describe('a shard that was taken away and added again', () => {
  /** Shard 1 owns everything, shard 2 nothing; its nodes are others each time. */
  const mapWith = (epoch: bigint, incarnation: number) =>
    makeClusterMap({
      ...mapOf(epoch, 1, [1]),
      shards: [
        { id: 1, incarnation: 1, nodes: [{ id: 'n1', address: '1' }] },
        { id: 2, incarnation, nodes: [{ id: `n2-${incarnation}`, address: `2-${incarnation}` }] },
      ],
    })
  const answers = (node: string, from: Position | undefined) =>
    node === '1' ? [begins(5, ALL)] : [begins(from === undefined ? 9 : Number(from.index))]
  const begun = async (maps: MapCell, from?: Uint8Array) => {
    const nodes = new Nodes(answers)
    const messages = watch(nodes, maps, from)
    const { value } = await messages.next()
    await messages.return(undefined)
    return { nodes, token: (value as { token: Uint8Array }).token }
  }

  test("is not the one of the token: COMPACTED, and its log is not asked for the other one's position", async () => {
    const { token } = await begun(new MapCell(mapWith(2n, 2)))
    const nodes = new Nodes(answers)
    const error = await watch(nodes, new MapCell(mapWith(5n, 5)), token)
      .next()
      .catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(CompactedError)
    const now = decodeToken(Buffer.from((error as CompactedError).token ?? '', 'base64url'), 'c')
    expect([...now.incarnations]).toEqual([
      [1, 1],
      [2, 5],
    ])
    expect(nodes.asked.filter((asked) => asked.startsWith('2-'))).toEqual(['2-5 now'])
    expect((await begun(new MapCell(mapWith(2n, 2)), token)).nodes.asked.sort()).toEqual(['1 5', '2-2 9'])
  })

  test('is known to whoever has seen all of the one before, and read from its beginning', async () => {
    const maps = new MapCell(mapWith(2n, 2))
    const nodes = new Nodes(answers)
    const gone = new AbortController()
    const messages = watch(nodes, maps, undefined, gone.signal)
    await messages.next()
    const waiting = messages.next()
    maps.publish(mapWith(5n, 5))
    await expect.poll(() => nodes.asked.at(-1)).toBe('2-5 0')
    gone.abort()
    await expect(waiting).rejects.toBeInstanceOf(CancelledError)
    expect(nodes.open).toBe(0)
  })

  test('a token of a map that has not come here yet: it is waited for', async () => {
    const { token } = await begun(new MapCell(mapWith(5n, 5)))
    let asked = 0n
    const maps = new MapCell(mapWith(2n, 2), (atLeast) => {
      asked = atLeast
    })
    const nodes = new Nodes(answers)
    const first = watch(nodes, maps, token).next()
    await expect.poll(() => asked).toBe(5n)
    maps.publish(mapWith(5n, 5))
    expect((await first).value).toMatchObject({ events: [] })
    expect(nodes.asked.sort()).toEqual(['1 5', '2-5 9'])
  })
})

test('what a shard has told that came and went unseen: COMPACTED, when all others were read to their ends', async () => {
  const k = Buffer.from('k')
  const partition = { first: partitionOf(k), last: partitionOf(k) }
  const release = { type: 'released', partitions: { ...partition, epoch: 2n, holding: 'gone' } } as const
  // It gave the partition away, and has it back from somebody who is no more.
  const back = { type: 'activated', partitions: { ...partition, epoch: 4n, holding: 'owned' } } as const
  const nodes = new Nodes((_, from) =>
    from === undefined
      ? [begins(9, { ...ALL, epoch: 4n })]
      : [begins(5, ALL), tells({ change: release, next: at(6) }, { change: back, next: at(7) }, put('k', 7, 8))],
  )
  const clock = new ManualClock()
  const maps = new MapCell(mapOf(5n, 1, [1]))
  const messages = watchCluster(
    { maps, links: nodes, clock, rng: seededRng(1) },
    { watched: WATCHED, token: await tokenAt(5), signal: new AbortController().signal },
  )
  await messages.next()
  await messages.next()
  const waiting = messages.next().catch((thrown: unknown) => thrown)
  await expect.poll(() => clock.pending).toBeGreaterThan(0)
  clock.advance(10_000)
  const error = await waiting
  expect(error).toBeInstanceOf(CompactedError)
  expect(decodeToken(Buffer.from((error as CompactedError).token ?? '', 'base64url'), 'c').positions.get(1)).toEqual(
    at(9),
  )
  expect(nodes.open).toBe(0)
  expect(clock.pending).toBe(0)
})

test('its signal ends it with CANCELLED, and nothing is left', async () => {
  const nodes = new Nodes(() => [begins(5, ALL)])
  const gone = new AbortController()
  const messages = watch(nodes, new MapCell(mapOf(1n, 1, [1])), undefined, gone.signal)
  await messages.next()
  const waiting = messages.next()
  gone.abort()
  await expect(waiting).rejects.toBeInstanceOf(CancelledError)
  expect(nodes.open).toBe(0)
})
