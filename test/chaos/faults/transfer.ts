import { setTimeout as rest } from 'node:timers/promises'
import { handOver } from '../../harness/status.js'
import type { FaultKind, FaultPlan, Healing, Scene } from './fault.js'
import { anyShard, whichOne } from './targets.js'

const STORM_MS = { min: 500, max: 4_000 }
const EVERY_MS = { min: 20, max: 300 }

/** Leadership is given away, by the node's own order. Nothing fails: nobody should notice. */
export const TRANSFERS: readonly FaultKind[] = [
  {
    name: 'transfer',
    about: 'a leader hands over to a follower',
    takes: 'process',
    possible: ({ replicas }) => replicas > 1,
    draw: (shape, random) => ({
      kind: 'transfer',
      target: { of: 'leader', shard: anyShard(shape, random) },
      forMs: 0,
      params: whichOne(shape, random),
    }),
    inject: async (scene, { target, params }) => {
      const shard = shardOf(target)
      const done = await transfer(scene, shard, Number(params.which))
      return { what: done, shards: [shard], heal: async () => undefined }
    },
  },
  {
    name: 'transfer-storm',
    about: 'leadership of a shard goes around all the time',
    takes: 'process',
    possible: ({ replicas }) => replicas > 1,
    draw: (shape, random) => ({
      kind: 'transfer-storm',
      target: { of: 'shard', shard: anyShard(shape, random) },
      forMs: random.between(STORM_MS.min, STORM_MS.max),
      params: { everyMs: random.between(EVERY_MS.min, EVERY_MS.max) },
    }),
    inject: storm,
  },
]

async function storm(scene: Scene, { target, params, forMs }: FaultPlan): Promise<Healing> {
  const shard = shardOf(target)
  const everyMs = Number(params.everyMs)
  let over = false
  const run = async (): Promise<void> => {
    for (let turn = 0; !over && !scene.signal.aborted; turn++) {
      // Refused when the other one is behind, or another fault strikes: then the next one.
      await transfer(scene, shard, turn).catch(() => undefined)
      await rest(everyMs)
    }
  }
  const running = run()
  return {
    what: `leadership of shard ${shard} goes around every ${everyMs} ms for ${forMs} ms`,
    shards: [shard],
    heal: async () => {
      over = true
      await running
    },
  }
}

/** To the follower that is `which` in their order, counted around. Gives words for what it did. */
async function transfer(scene: Scene, shard: number, which: number): Promise<string> {
  const leader = await scene.leaderOf(shard)
  const followers = (await scene.nodesOf(shard)).filter(({ id, serving }) => serving && id !== leader.id)
  const to = followers[which % followers.length]
  if (to === undefined) throw new Error(`no follower of shard ${shard} serves`)
  await handOver(leader, to)
  return `leadership of shard ${shard} from pid ${leader.pid} to pid ${to.pid}`
}

function shardOf(target: FaultPlan['target']): number {
  if (!('shard' in target)) throw new TypeError('a transfer is of one shard')
  return target.shard
}
