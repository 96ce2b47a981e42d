// A follower that is away for so long that the leader no longer has the log that it lacks: it comes back by a snapshot,
// keeps that over kill -9, and is then the one that answers.
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Cluster } from '../harness/cluster.js'
import { keysOn } from '../harness/keys.js'
import { COMPACTED, INSTALLED, NodeLog } from '../harness/node-log.js'
import { holdBack, letGo } from '../harness/node-program.js'
import { signal } from '../harness/process.js'
import type { NodeView } from '../harness/status.js'
import { until } from '../harness/wait.js'
import { type Scene, underLoad } from './scene.js'

const SHARD = 1
/** The log is cut as early and as far as kvnode lets us. */
const NODE_FLAGS = ['--compact-bytes', '1048576', '--trailing-bytes', '1', '--segment-bytes', '1048576']
const KEYS = 64
const VALUE_BYTES = 8 << 10

let cluster: Cluster
beforeEach(async () => {
  cluster = await Cluster.start({ shards: 1, nodeFlags: NODE_FLAGS })
})
afterEach(() => cluster?.dispose())

interface Way {
  readonly how: string
  readonly leave: (node: NodeView) => void
  readonly comeBack: (node: NodeView) => void
}

const WAYS: readonly Way[] = [
  {
    how: 'killed',
    leave: (node) => {
      holdBack(node.directory)
      signal(node.pid, 'SIGKILL')
    },
    comeBack: (node) => letGo(node.directory),
  },
  {
    how: 'stopped',
    leave: (node) => signal(node.pid, 'SIGSTOP'),
    comeBack: (node) => signal(node.pid, 'SIGCONT'),
  },
]

test.each(WAYS)('a follower that was $how gets a snapshot, keeps it, and answers from it', async (way) => {
  await underLoad(cluster, async (scene) => {
    const bulk = new Bulk(scene)
    await bulk.overwrite()
    const [follower] = await cluster.followersOf(SHARD)
    if (follower === undefined) throw new Error('a shard without followers')
    const log = new NodeLog(follower)
    way.leave(follower)
    // The follower has no more than the leader had after that.
    const { last } = await cluster.leaderOf(SHARD)
    const away = await bulk.overwriteUntil(() => leaderHasCutBehind(last))
    way.comeBack(follower)
    // Under writes all the time, and from now on also of what it is being sent.
    await bulk.overwriteUntil(async () => log.count(INSTALLED) > 0)
    await cluster.settled()

    // Without load, so that it has to live on what it has: no other snapshot can be due.
    await scene.workload.stop()
    const installed = await caughtUp(follower)
    const installs = log.count(INSTALLED)
    signal(installed.pid, 'SIGKILL')
    await until('it to be back', async () => (await caughtUp(follower)).pid !== installed.pid)
    expect(log.count(INSTALLED)).toBe(installs)
    await bulk.overwrite()
    console.log(`${way.how} for ${away} rounds of ${KEYS} writes, ${installs} snapshots installed`)
    await answersAlone(scene, bulk, follower)
  })
})

/** The node as it is when it has applied all that the leader has. */
function caughtUp({ id, directory }: NodeView): Promise<NodeView> {
  return until(`${id} to have caught up`, async () => {
    const { applied } = await cluster.leaderOf(SHARD)
    return (await cluster.nodesOf(SHARD)).find((node) => node.directory === directory && node.applied >= applied)
  })
}

/** With each of the other nodes stopped in turn, every read is answered from this node's data. */
async function answersAlone(scene: Scene, bulk: Bulk, node: NodeView): Promise<void> {
  const others = (await cluster.nodesOf(SHARD)).filter((one) => one.id !== node.id)
  expect(others).toHaveLength(2)
  for (const other of others) {
    const leader = await cluster.moveLeaderTo(node)
    signal(other.pid, 'SIGSTOP')
    try {
      await bulk.verify()
      await scene.workload.verify()
      expect(await cluster.leaderOf(SHARD)).toMatchObject({ id: node.id, term: leader.term })
    } finally {
      signal(other.pid, 'SIGCONT')
    }
    await cluster.settled()
  }
}

/** Whether the leader's log begins behind an entry: nothing but a snapshot helps a node that has no more than that. */
async function leaderHasCutBehind(last: bigint): Promise<boolean> {
  const leader = await cluster.leaderOf(SHARD)
  return new NodeLog(leader, 0).indices(COMPACTED).some((to) => to > last)
}

/** A few keys that are overwritten again and again with values that fill logs; what was acknowledged last is known. */
class Bulk {
  readonly #scene: Scene
  readonly #keys: readonly string[]
  #round = 0

  constructor(scene: Scene) {
    this.#scene = scene
    const nextKey = keysOn(scene.map, SHARD, 'bulk')
    this.#keys = Array.from({ length: KEYS }, nextKey)
  }

  async overwrite(): Promise<void> {
    this.#round++
    await Promise.all(this.#keys.map((key) => this.#scene.client.put(key, this.#value(key))))
  }

  /** Gives the number of rounds. */
  async overwriteUntil(isEnough: () => Promise<boolean>): Promise<number> {
    const begin = this.#round
    await until('enough to be written', async () => {
      await this.overwrite()
      return isEnough()
    })
    return this.#round - begin
  }

  async verify(): Promise<void> {
    const values = await Promise.all(this.#keys.map((key) => this.#scene.client.get(key)))
    const wrong = this.#keys.filter((key, i) => values[i] !== this.#value(key))
    expect(wrong).toEqual([])
  }

  #value(key: string): string {
    return `${key}=${this.#round}`.padEnd(VALUE_BYTES, '.')
  }
}
