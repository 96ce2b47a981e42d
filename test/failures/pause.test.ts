// SIGSTOP: a process that neither works nor closes its connections, and that wakes up believing what it believed.
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { RequestWrapper } from '../../orchestrator/client/index.js'
import { Cluster } from '../harness/cluster.js'
import { keysOn } from '../harness/keys.js'
import { signal } from '../harness/process.js'
import { within } from '../harness/wait.js'
import { outcomeOf } from '../harness/workload.js'
import { PausedReads } from './paused-reads.js'
import { type Scene, underLoad } from './scene.js'

const PAUSE_MS = 5_000
const BETWEEN_MS = 5
const SHORT_ROUNDS = 8
/** The promise is 1.5 s on a quiet machine: that is what is printed. A busy one gets five times. */
const GAP_MS_MAX = 5 * 1_500

let cluster: Cluster
beforeAll(async () => {
  cluster = await Cluster.start()
})
afterAll(() => cluster?.dispose())

test('of a leader for 5 s: no stale read when it wakes, nothing lost', async () => {
  await underLoad(cluster, async (scene) => {
    const gap = await pauseLeader(scene, 2, PAUSE_MS)
    console.log(`time without service after SIGSTOP of a leader: ${gap.toFixed(0)} ms`)
    expect(gap).toBeLessThanOrEqual(GAP_MS_MAX)
  })
})

test('of leaders again and again, each woken as soon as another one leads', { timeout: 240_000 }, async () => {
  await underLoad(cluster, async (scene) => {
    for (let round = 0; round < SHORT_ROUNDS; round++) {
      await pauseLeader(scene, scene.shards[round % scene.shards.length] ?? 1, 0)
    }
  })
})

/**
 * Stops a shard's leader for at least so long and until others have taken over, with reads waiting in its sockets for the
 * moment in which it wakes. Gives the time without service in ms.
 */
async function pauseLeader(scene: Scene, shard: number, pauseMs: number): Promise<number> {
  await scene.cluster.settled()
  const leader = await cluster.leaderOf(shard)
  const probe = await scene.probe(shard)
  const watch = await PausedReads.through(leader, scene, shard)
  signal(leader.pid, 'SIGSTOP')
  const end = performance.now() + pauseMs
  try {
    while (performance.now() < end || !watch.othersHaveTakenOver) {
      await watch.writeAndAsk()
      await pause(BETWEEN_MS)
    }
  } finally {
    signal(leader.pid, 'SIGCONT')
  }
  await watch.finish()
  await scene.served(probe)
  return scene.gapOf(probe)
}

const CALL_MS_MAX = 2_000
const CALLS = 32

test('of a majority: operations fail in bounded time and say what is known, nothing hangs', async () => {
  await underLoad(cluster, async (scene) => {
    const [shard = 1, other = 2] = scene.shards
    const nodes = [await cluster.leaderOf(shard), ...(await cluster.followersOf(shard))].slice(0, 2)
    const client = new RequestWrapper(cluster.address, { deadlineMs: CALL_MS_MAX })
    try {
      // Connected, so that the calls below do not gather in one first message: that is answered when its last one is.
      await client.get('connect')
      for (const node of nodes) signal(node.pid, 'SIGSTOP')
      const nextKey = keysOn(scene.map, shard, 'majority')
      const call = (i: number): Promise<unknown> => (i % 2 === 0 ? client.get(nextKey()) : client.put(nextKey(), 'v'))
      const calls = Promise.allSettled(Array.from({ length: CALLS }, (_, i) => call(i)))
      // The other shards have their majority, and serve.
      await pause(BETWEEN_MS)
      await client.put(keysOn(scene.map, other, 'elsewhere')(), 'v')
      const ends = await within('operations without a majority', 5 * CALL_MS_MAX, calls)
      expect(ends.filter((end) => end.status === 'fulfilled')).toEqual([])
      const outcomes = ends.map((end) => (end.status === 'rejected' ? outcomeOf(end.reason) : 'applied'))
      expect(outcomes.filter((_, i) => i % 2 === 0)).toEqual(new Array(CALLS / 2).fill('not-applied'))
      expect(new Set(outcomes)).not.toContain('applied')
    } finally {
      for (const node of nodes) signal(node.pid, 'SIGCONT')
      client.close()
    }
    const probe = await scene.probe(shard)
    await scene.gapOf(probe)
  })
})
