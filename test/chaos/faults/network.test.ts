// That the faults of the network happen, and to whom they are meant to happen. A chaos run would not notice a fault that
// does nothing.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { RequestWrapper } from '../../../orchestrator/client/index.js'
import { KvUnary } from '../../../orchestrator/wire/kv-unary.js'
import { Cluster } from '../../harness/cluster.js'
import { keysOn } from '../../harness/keys.js'
import { lookAt, type NodeView } from '../../harness/status.js'
import { until } from '../../harness/wait.js'
import { outcomeOf } from '../../harness/workload.js'
import { LiveScene } from '../scene.js'
import type { FaultKind, FaultPlan, Healing, Preparation, Scene, Target } from './fault.js'
import { SharedLab, whyNoLab } from './lab.js'
import { LateAnswers } from './late-answers.js'
import { networkFaults } from './network.js'
import { placesOf } from './places.js'
import { CLIENTS } from './proxy.js'
import { Random } from './random.js'

const SHARD = 1
const PATIENT_MS = 20_000
/** Longer than any answer of a node that works, here. */
const HASTY_MS = 1_500
/** Of a fault that strikes by chance. */
const TURNS_MAX = 20

const shared = new SharedLab()
const kinds = new Map([...networkFaults(shared), new LateAnswers(shared)].map((kind) => [kind.name, kind]))
let prepared: Preparation
let scene: Scene
let client: RequestWrapper
let nextKey: () => string

beforeAll(async () => {
  if (whyNoLab !== undefined) return
  prepared = await shared.prepare()
  const cluster = await Cluster.start({ ...prepared.cluster, shards: 1 })
  const map = await cluster.map()
  scene = new LiveScene(cluster, map, 3, new AbortController().signal)
  client = new RequestWrapper(cluster.address, { deadlineMs: PATIENT_MS })
  nextKey = keysOn(map, SHARD, 'net')
  await cluster.settled()
})
afterAll(async () => {
  client?.close()
  await scene?.cluster.dispose()
  await prepared?.close()
})

test('a leader that is cut off: nothing through it, no stale read, the others serve; it comes back', async ({
  skip,
}) => {
  skip(whyNoLab !== undefined, whyNoLab)
  const leader = await scene.cluster.leaderOf(SHARD)
  const key = nextKey()
  await client.put(key, 'before')
  const { heal } = await begin('partition', { of: 'leader', shard: SHARD }, { refuse: false, clients: false })
  // Nothing keeps the client from it: it is its peers that it does not reach.
  const write = directly(leader, (kv) => kv.put(Buffer.from(key), Buffer.from('alone'), { deadlineMs: HASTY_MS }))
  const alone = faultOf(write)
  await client.put(key, 'with the others')
  expect(outcomeOf(await alone)).not.toBe('applied')
  const read = directly(leader, (kv) => kv.get(Buffer.from(key), { deadlineMs: HASTY_MS }))
  expect(await faultOf(read)).toBeDefined()
  const next = await scene.cluster.leaderOf(SHARD)
  expect(next.id).not.toBe(leader.id)
  await heal()
  await scene.cluster.settled()
  expect(await client.get(key)).toBe('with the others')
})

test('a leader that hears late that it is heard, and is not: another one leads while it believes that it does', {
  timeout: 10 * PATIENT_MS,
}, async ({ skip }) => {
  skip(whyNoLab !== undefined, whyNoLab)
  const key = nextKey()
  await client.put(key, 'before')
  // When followers notice is by chance, and the old leader may have given up by then.
  for (let turns = 1; ; turns++) {
    const old = await scene.cluster.leaderOf(SHARD)
    const { heal } = await begin('late-answers', { of: 'leader', shard: SHARD }, { lateMs: 400 })
    const leaders = await until('another leader', async () => {
      const now = (await scene.nodesOf(SHARD)).filter(({ leads }) => leads).map(({ id }) => id)
      return now.some((id) => id !== old.id) ? now : undefined
    })
    const read = leaders.includes(old.id)
      ? await faultOf(directly(old, (kv) => kv.get(Buffer.from(key), { deadlineMs: HASTY_MS })))
      : undefined
    await heal()
    await scene.cluster.settled()
    if (!leaders.includes(old.id) && turns < TURNS_MAX) continue
    expect(leaders).toContain(old.id)
    expect(read).toBeDefined()
    return
  }
})

test('a leader that refuses its peers, and clients: the others serve', async ({ skip }) => {
  skip(whyNoLab !== undefined, whyNoLab)
  const leader = await scene.cluster.leaderOf(SHARD)
  const { heal } = await begin('partition', { of: 'leader', shard: SHARD }, { refuse: true, clients: true })
  expect(await faultOf(directly(leader, (kv) => kv.get(Buffer.from('x'), { deadlineMs: HASTY_MS })))).toBeDefined()
  await client.put(nextKey(), 'x')
  await heal()
  await scene.cluster.settled()
})

test('a leader that is cut off from everybody: no client reaches it, the others serve', async ({ skip }) => {
  skip(whyNoLab !== undefined, whyNoLab)
  const leader = await scene.cluster.leaderOf(SHARD)
  const { heal } = await begin('partition-leader', { of: 'leader', shard: SHARD }, {})
  await client.put(nextKey(), 'x')
  expect(await lookAt(SHARD, [leader])).toEqual([])
  expect((await scene.cluster.leaderOf(SHARD)).id).not.toBe(leader.id)
  await heal()
  await scene.cluster.settled()
})

test('a leader that its peers do not hear: another one leads, while it hears them', async ({ skip }) => {
  skip(whyNoLab !== undefined, whyNoLab)
  const leader = await scene.cluster.leaderOf(SHARD)
  const { heal } = await begin('one-way', { of: 'leader', shard: SHARD }, { heard: false })
  await until('another leader', async () => (await scene.cluster.leaderOf(SHARD)).id !== leader.id)
  await client.put(nextKey(), 'x')
  await heal()
  await scene.cluster.settled()
})

test('a follower that is deaf: the leader stays, and writes go on', async ({ skip }) => {
  skip(whyNoLab !== undefined, whyNoLab)
  const [place] = await placesOf(scene, { of: 'follower', shard: SHARD })
  const { heal } = await begin('one-way', { of: 'follower', shard: SHARD }, { heard: true })
  await client.put(nextKey(), 'x')
  await heal()
  await scene.cluster.settled()
  expect(place?.words).toMatch(/which follows/)
})

test('packets that are late: a write takes two of them', async ({ skip }) => {
  skip(whyNoLab !== undefined, whyNoLab)
  const { heal } = await begin('delay', { of: 'shard', shard: SHARD }, { delayMs: 40, jitterMs: 20 })
  const since = performance.now()
  await client.put(nextKey(), 'x')
  expect(performance.now() - since).toBeGreaterThanOrEqual(80)
  await heal()
  await scene.cluster.settled()
})

test('a trickle, and losses: writes are acknowledged all the same', async ({ skip }) => {
  skip(whyNoLab !== undefined, whyNoLab)
  const { proxy } = await shared.lab()
  const slow = await begin('trickle', { of: 'leader', shard: SHARD }, { bytesPerSecond: 20_000 })
  await client.put(nextKey(), 'x'.repeat(10_000))
  await slow.heal()
  const lossy = await begin('loss', { of: 'shard', shard: SHARD }, { share: 0.2 })
  const leader = (await placesOf(scene, { of: 'leader', shard: SHARD }))[0]?.name ?? ''
  await until('a loss', async () => {
    await client.put(nextKey(), 'x')
    return (await proxy.link({ from: leader, to: CLIENTS })).resent > 0
  })
  await lossy.heal()
  await scene.cluster.settled()
})

test('answers that are swallowed: what the client cannot know is told as unknown, and happens once', async ({
  skip,
}) => {
  skip(whyNoLab !== undefined, whyNoLab)
  const { proxy } = await shared.lab()
  const [place] = await placesOf(scene, { of: 'leader', shard: SHARD })
  const key = nextKey()
  await client.append(key, 'a;')
  const { heal } = await begin('swallow', { of: 'leader', shard: SHARD }, {})
  const patient = client.append(nextKey(), 'c;')
  const hasty = faultOf(client.append(key, 'b;', { deadlineMs: HASTY_MS }))
  expect(outcomeOf(await hasty)).toBe('unknown')
  expect((await proxy.link({ from: place?.name ?? '', to: CLIENTS })).swallowed).toBeGreaterThan(0)
  await heal()
  await patient
  expect(await client.get(key)).toBe('a;b;')
  await scene.cluster.settled()
})

test('a seed is a schedule', () => {
  const draw = (seed: number): FaultPlan[] => {
    const random = new Random(seed)
    return [...kinds.values()].map((kind) => kind.draw({ shards: 3, replicas: 3 }, random))
  }
  expect(draw(1)).toEqual(draw(1))
  expect(draw(1)).not.toEqual(draw(2))
})

async function begin(name: string, target: Target, params: FaultPlan['params']): Promise<Healing> {
  const healing = await (kinds.get(name) as FaultKind).inject(scene, { kind: name, target, forMs: 0, params })
  console.log(healing.what)
  return healing
}

async function directly<T>(node: NodeView, ask: (kv: KvUnary) => Promise<T>): Promise<T> {
  const kv = new KvUnary(node.address)
  try {
    return await ask(kv)
  } finally {
    kv.close()
  }
}

async function faultOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => undefined,
    (error: unknown) => error,
  )
}
