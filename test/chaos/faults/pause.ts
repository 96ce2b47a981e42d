import { signal } from '../../harness/process.js'
import type { FaultKind, FaultPlan, Healing, Scene, Shape, Target } from './fault.js'
import { namesOf, victimsOf } from './kill.js'
import type { Random } from './random.js'
import { anyShard, shardsOf, whichOne } from './targets.js'

const PAUSE_MS = { min: 200, max: 4_000 }
/** Nobody else can serve meanwhile. */
const PAUSE_ALL_MS = { min: 200, max: 1_500 }

/**
 * SIGSTOP and SIGCONT: a process that is there and does nothing, and wakes with old requests in its sockets. Reads go
 * through every node all the time (traffic/node-readers), so also through a leader that is stopped.
 */
export const PAUSES: readonly FaultKind[] = [
  pause('pause-leader', "SIGSTOP of a shard's leader for a while", PAUSE_MS, (shape, random) => ({
    of: 'leader',
    shard: anyShard(shape, random),
  })),
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
