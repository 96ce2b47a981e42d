import { setTimeout as rest } from 'node:timers/promises'
import { signal } from '../../harness/process.js'
import { lookAt } from '../../harness/status.js'
import type { FaultKind, FaultPlan, Healing, Scene, Shape, Target } from './fault.js'
import { namesOf, victimsOf } from './kill.js'
import type { Random } from './random.js'
import { anyShard, shardsOf, whichOne } from './targets.js'

const PAUSE_MS = { min: 200, max: 4_000 }
/** Of the pauses of a leader: it is woken as soon as others have written without it. */
const WOKEN_SOON_SHARE = 0.7
/** For those writes, and for reads to gather in its sockets. */
const WRITES_MS = 150
const LOOK_MS = 30
/** Nobody else can serve meanwhile. */
const PAUSE_ALL_MS = { min: 200, max: 1_500 }

/**
 * SIGSTOP and SIGCONT: a process that is there and does nothing, and wakes with old requests in its sockets. Reads go
 * through every node all the time (traffic/node-readers), so also through a leader that is stopped.
 */
export const PAUSES: readonly FaultKind[] = [
  {
    ...pause('pause-leader', "SIGSTOP of a shard's leader, for a while or until another one leads", PAUSE_MS, aLeader),
    draw: (shape, random) => {
      const soon = random.chance(WOKEN_SOON_SHARE)
      const forMs = soon ? PAUSE_MS.max : random.between(PAUSE_MS.min, PAUSE_MS.max)
      return { kind: 'pause-leader', target: aLeader(shape, random), forMs, params: { soon } }
    },
    inject: pauseLeader,
  },
  {
    ...pause('pause-follower', 'SIGSTOP of a follower for a while', PAUSE_MS, (shape, random) => ({
      of: 'follower',
      shard: anyShard(shape, random),
    })),
    possible: ({ replicas }) => replicas > 1,
  },
  pause('pause-shard', 'SIGSTOP of all nodes of a shard, or of meta, for a moment', PAUSE_ALL_MS, (shape, random) => ({
    of: 'shard',
    shard: random.between(0, shape.shards),
  })),
  pause('pause-orchestrator', 'SIGSTOP of the orchestrator, and the gateway in it', PAUSE_ALL_MS, () => ({
    of: 'orchestrator',
  })),
]

function aLeader(shape: Shape, random: Random): Target {
  return { of: 'leader', shard: anyShard(shape, random) }
}

interface Range {
  readonly min: number
  readonly max: number
}

function pause(name: string, about: string, range: Range, draw: (shape: Shape, random: Random) => Target): FaultKind {
  return {
    name,
    about,
    takes: 'process',
    possible: () => true,
    draw: (shape, random) => ({
      kind: name,
      target: draw(shape, random),
      forMs: random.between(range.min, range.max),
      params: whichOne(shape, random),
    }),
    inject: pauseNow,
  }
}

async function pauseNow(scene: Scene, plan: FaultPlan): Promise<Healing> {
  const victims = await victimsOf(scene, plan)
  for (const { pid } of victims) signal(pid, 'SIGSTOP')
  return {
    what: `SIGSTOP of ${namesOf(victims)} for ${plan.forMs} ms`,
    shards: shardsOf(scene, plan.target),
    heal: async () => {
      for (const { pid } of victims) signal(pid, 'SIGCONT')
    },
  }
}

/**
 * What is most dangerous is a leader that wakes just after it was deposed: it has believed nothing else yet, and reads wait
 * in its sockets.
 */
async function pauseLeader(scene: Scene, plan: FaultPlan): Promise<Healing> {
  const healing = await pauseNow(scene, plan)
  if (plan.params.soon !== true) return healing
  let over = false
  const deposed = async (): Promise<void> => {
    const [shard = 0] = healing.shards
    while (!over && !(await anotherLeads(scene, shard))) await rest(LOOK_MS)
    if (!over) await rest(WRITES_MS)
    await healing.heal()
  }
  const woken = deposed()
  return {
    ...healing,
    what: healing.what.replace(/ for \d+ ms$/, ' until another one leads'),
    ended: woken,
    heal: async () => {
      over = true
      await woken
    },
  }
}

/** Whoever answers is not the one that is stopped. */
async function anotherLeads({ map }: Scene, shard: number): Promise<boolean> {
  const nodes = map.shards.find(({ id }) => id === shard)?.nodes ?? []
  const looks = nodes.map(async (node) => (await lookAt(shard, [node])).some(({ ready }) => ready))
  const found = looks.map(async (look) => ((await look) ? true : Promise.reject(new Error('it does not lead'))))
  return Promise.any(found).catch(() => false)
}
