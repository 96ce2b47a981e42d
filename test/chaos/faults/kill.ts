import { signal } from '../../harness/process.js'
import type { FaultKind, FaultPlan, Healing, NodeProcess, Scene, Shape, Target } from './fault.js'
import type { Random } from './random.js'
import { aNode, anyShard, shardsOf, whichOne } from './targets.js'

/** kill -9; the orchestrator starts again what it had. */
export const KILLS: readonly FaultKind[] = [
  kill('kill-leader', "kill -9 of a shard's leader", (shape, random) => ({
    of: 'leader',
    shard: anyShard(shape, random),
  })),
  {
    ...kill('kill-follower', 'kill -9 of a follower', (shape, random) => ({
      of: 'follower',
      shard: anyShard(shape, random),
    })),
    possible: ({ replicas }) => replicas > 1,
  },
  kill('kill-shard', 'kill -9 of all nodes of a shard at once', (shape, random) => ({
    of: 'shard',
    shard: anyShard(shape, random),
  })),
  kill('kill-meta', "kill -9 of one of meta's nodes, or of all", (shape, random) =>
    random.chance(0.5) ? { of: 'shard', shard: 0 } : aNode(0, shape, random),
  ),
  kill('kill-nodes', 'kill -9 of every node of every shard, and of meta', () => ({ of: 'nodes' })),
]

function kill(name: string, about: string, draw: (shape: Shape, random: Random) => Target): FaultKind {
  return {
    name,
    about,
    takes: 'process',
    possible: () => true,
    draw: (shape, random) => ({ kind: name, target: draw(shape, random), forMs: 0, params: whichOne(shape, random) }),
    inject: killNow,
  }
}

async function killNow(scene: Scene, plan: FaultPlan): Promise<Healing> {
  const victims = await victimsOf(scene, plan)
  for (const { pid } of victims) signal(pid, 'SIGKILL')
  return {
    what: `kill -9 of ${namesOf(victims)}`,
    shards: shardsOf(scene, plan.target),
    heal: async () => undefined,
  }
}

/** Rejects when there is nobody. */
export async function victimsOf(scene: Scene, { target, params }: FaultPlan): Promise<NodeProcess[]> {
  const found = await find(scene, target, Number(params.which ?? 0))
  if (found.length === 0) throw new Error(`nobody runs who is ${JSON.stringify(target)}`)
  return found
}

async function find(scene: Scene, target: Target, which: number): Promise<NodeProcess[]> {
  switch (target.of) {
    case 'leader': {
      const { pid } = await scene.leaderOf(target.shard)
      return scene.processesOf(target.shard).filter((one) => one.pid === pid)
    }
    case 'follower': {
      const { pid } = await scene.leaderOf(target.shard)
      const followers = scene.processesOf(target.shard).filter((one) => one.pid !== pid)
      return followers.slice(which % followers.length, (which % followers.length) + 1)
    }
    case 'node':
      return scene.processesOf(target.shard).filter(({ name }) => name.endsWith(`/node-${target.index}`))
    case 'shard':
      return scene.processesOf(target.shard)
    case 'nodes':
    case 'everything':
      return [0, ...scene.shards].flatMap((shard) => scene.processesOf(shard))
    case 'orchestrator':
      return [{ pid: scene.cluster.orchestrator.pid, name: 'the orchestrator' }]
  }
}

export function namesOf(victims: readonly NodeProcess[]): string {
  const shown = victims.slice(0, 4).map(({ name, pid }) => `${name} (pid ${pid})`)
  return victims.length > 4 ? `${shown.join(', ')} and ${victims.length - 4} more` : shown.join(', ')
}
