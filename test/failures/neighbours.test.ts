// A shard without a majority, and the operations of other shards that travel in the same messages: a message is answered
// in parts, so they do not wait for it.
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { RequestWrapper } from '../../orchestrator/client/index.js'
import { Cluster } from '../harness/cluster.js'
import { keysOn } from '../harness/keys.js'
import { signal } from '../harness/process.js'
import { within } from '../harness/wait.js'
import { outcomeOf } from '../harness/workload.js'
import { type Scene, underLoad } from './scene.js'

const CALL_MS_MAX = 4_000
/** On a quiet machine it is about 30 ms after one message, and 100 ms after many. That is what is printed. */
const NEIGHBOUR_MS_MAX = 1_000
const CALLS = 16
/** Longer than a call may take: as many messages are open then as ever will be. */
const LONG_MS = CALL_MS_MAX + 2_000
const EVERY_MS = 10

let cluster: Cluster
beforeAll(async () => {
  cluster = await Cluster.start()
})
afterAll(() => cluster?.dispose())

test('of a shard without a majority are answered at once, in the same message', async () => {
  await underLoad(cluster, (scene) =>
    withoutMajority(scene, async (client, stuck, healthy) => {
      const call = (at: number) => (at % 2 === 0 ? client.get(stuck()) : put(client, stuck()))
      const dead = Array.from({ length: CALLS }, (_, at) => endOf(call(at)))
      const well = healthy.flatMap((next) => Array.from({ length: CALLS }, () => timed(put(client, next()))))
      well.push(...healthy.map((next) => timed(client.get(next()))))
      const longest = Math.max(...(await Promise.all(well)))
      console.log(`beside ${CALLS} operations without a majority: ${longest.toFixed(0)} ms`)
      expect(longest).toBeLessThanOrEqual(NEIGHBOUR_MS_MAX)
      const outcomes = await within('operations without a majority', 3 * CALL_MS_MAX, Promise.all(dead))
      expect(new Set(outcomes)).not.toContain('applied')
      expect(outcomes.filter((_, at) => at % 2 === 0)).toEqual(new Array(CALLS / 2).fill('not-applied'))
    }),
  )
})

test('stay quick for as long as it lasts, with such an operation in every message', async () => {
  await underLoad(cluster, (scene) =>
    withoutMajority(scene, async (client, stuck, healthy) => {
      const dead: Promise<string>[] = []
      const well: Promise<number>[] = []
      // Time is the subject: messages gather until the first of them run out of it.
      for (const end = performance.now() + LONG_MS; performance.now() < end; await pause(EVERY_MS)) {
        dead.push(endOf(put(client, stuck())), endOf(client.get(stuck())))
        for (const next of healthy) well.push(timed(put(client, next())), timed(client.get(next())))
      }
      const times = (await Promise.all(well)).sort((a, b) => a - b)
      const [median = 0, longest = 0] = [times[times.length >> 1], times.at(-1)]
      console.log(`beside ${dead.length}: median ${median.toFixed(0)} ms, longest ${longest.toFixed(0)} ms`)
      expect(longest).toBeLessThanOrEqual(NEIGHBOUR_MS_MAX)
      const outcomes = await within('operations without a majority', 3 * CALL_MS_MAX, Promise.all(dead))
      expect(new Set(outcomes)).not.toContain('applied')
    }),
  )
})

type Work = (client: RequestWrapper, stuck: () => string, healthy: (() => string)[]) => Promise<void>

let rounds = 0

/** Runs `work` with a connected client while most nodes of one shard are stopped, and keys of that one and of the others. */
async function withoutMajority(scene: Scene, work: Work): Promise<void> {
  const [shard = 1, ...others] = scene.shards
  const nodes = [await cluster.leaderOf(shard), ...(await cluster.followersOf(shard))].slice(0, 2)
  const client = new RequestWrapper(cluster.address, { deadlineMs: CALL_MS_MAX })
  const round = rounds++
  const keys = (of: number) => keysOn(scene.map, of, `neighbours${round}`)
  try {
    await client.get('connect')
    for (const node of nodes) signal(node.pid, 'SIGSTOP')
    await work(client, keys(shard), others.map(keys))
  } finally {
    for (const node of nodes) signal(node.pid, 'SIGCONT')
    client.close()
  }
  const probe = await scene.probe(shard)
  await scene.gapOf(probe)
}

function put(client: RequestWrapper, key: string): Promise<void> {
  return client.put(key, 'v')
}

/** What is known of it when it has ended. */
function endOf(call: Promise<unknown>): Promise<string> {
  return call.then(
    () => 'applied',
    (error: unknown) => outcomeOf(error),
  )
}

/** How long it took, ms. */
async function timed(call: Promise<unknown>): Promise<number> {
  const began = performance.now()
  await call
  return performance.now() - began
}
