// kill -9: of each leader in turn, of a follower, of every node at once.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Cluster } from '../harness/cluster.js'
import { median } from '../harness/median.js'
import { signal } from '../harness/process.js'
import { until } from '../harness/wait.js'
import { underLoad } from './scene.js'

const ROUNDS = 10
/** The promise is a median of at most 100 ms on a quiet machine: that is what is printed. A busy one gets five times. */
const GAP_MS_MAX = 5 * 100

let cluster: Cluster
beforeAll(async () => {
  cluster = await Cluster.start()
})
afterAll(() => cluster?.dispose())

test('of each leader in turn: nothing is lost, and the next leader is there at once', {
  timeout: 240_000,
}, async () => {
  const gaps: number[] = []
  await underLoad(cluster, async (scene) => {
    for (let round = 0; round < ROUNDS; round++) {
      const shard = scene.shards[round % scene.shards.length] ?? 1
      const leader = await cluster.leaderOf(shard)
      const probe = await scene.probe(shard)
      signal(leader.pid, 'SIGKILL')
      await until('another leader', async () => (await cluster.leaderOf(shard)).term > leader.term)
      await scene.served(probe)
      gaps.push(await scene.gapOf(probe))
      await cluster.settled()
    }
  })
  const shown = gaps.map((gap) => gap.toFixed(0)).join(', ')
  console.log(`time without service after kill -9 of a leader: median ${median(gaps).toFixed(0)} ms of ${shown}`)
  expect(median(gaps)).toBeLessThanOrEqual(GAP_MS_MAX)
})

test('of a follower: nobody notices, and it catches up', async () => {
  await underLoad(cluster, async (scene) => {
    const shard = 1
    const probe = await scene.probe(shard)
    const [follower] = await cluster.followersOf(shard)
    if (follower === undefined) throw new Error('a shard without followers')
    signal(follower.pid, 'SIGKILL')
    const again = await until('the follower to be back', async () =>
      (await cluster.nodesOf(shard)).find((node) => node.id === follower.id && node.pid !== follower.pid),
    )
    expect(again.id).toBe(follower.id)
    await cluster.settled()
    await scene.served(probe)
    console.log(`longest time without service while a follower was dead: ${(await scene.gapOf(probe)).toFixed(0)} ms`)
  })
})

test('of every node at once: they come back with everything', async () => {
  await underLoad(cluster, async (scene) => {
    const before = cluster.nodeProcesses().map((node) => node.pid)
    expect(before).toHaveLength(3 * 3 + META_NODES)
    const probe = await scene.probe(1)
    for (const pid of before) signal(pid, 'SIGKILL')
    await cluster.settled()
    await scene.served(probe)
    console.log(`time without service after kill -9 of every node: ${(await scene.gapOf(probe)).toFixed(0)} ms`)
    expect(cluster.nodeProcesses().filter((node) => before.includes(node.pid))).toEqual([])
  })
})

const META_NODES = 3
