import { signal } from '../../harness/process.js'
import type { FaultKind, FaultPlan, Healing, Scene } from './fault.js'
import { namesOf, victimsOf } from './kill.js'
import { aNode, anyShard, shardsOf, whichOne } from './targets.js'

const AWAY_MS = { min: 0, max: 1_500 }

/** The orchestrator goes, by force or orderly, and comes again on the same data and port. */
export const RESTARTS: readonly FaultKind[] = [
  orchestrator(
    'kill-orchestrator',
    'kill -9 of the orchestrator, and the gateway in it; the nodes go on',
    'orchestrator',
    {
      end: async ({ cluster }) => {
        cluster.orchestrator.signal('SIGKILL')
        await cluster.orchestrator.ended
      },
      word: 'kill -9 of the orchestrator',
    },
  ),
  orchestrator('kill-everything', 'kill -9 of the orchestrator and of every node', 'everything', {
    end: async ({ cluster }) => {
      cluster.killAll()
      await cluster.orchestrator.ended
    },
    word: 'kill -9 of everything',
  }),
  orchestrator('restart-everything', 'an orderly stop (SIGINT) and a start', 'everything', {
    end: async ({ cluster }) => {
      const { code } = await cluster.stop()
      if (code !== 0) throw new Error(`an orderly stop ended with code ${code}:\n${cluster.orchestrator.stderr}`)
    },
    word: 'orderly stop of everything',
  }),
  {
    name: 'restart-node',
    about: 'SIGTERM of a node, which hands over and ends; it is started again',
    takes: 'process',
    possible: () => true,
    draw: (shape, random) => ({
      kind: 'restart-node',
      target: aNode(anyShard(shape, random), shape, random),
      forMs: 0,
      params: whichOne(shape, random),
    }),
    inject: restartNode,
  },
]

interface End {
  readonly end: (scene: Scene) => Promise<void>
  readonly word: string
}

function orchestrator(name: string, about: string, of: 'orchestrator' | 'everything', { end, word }: End): FaultKind {
  return {
    name,
    about,
    takes: 'process',
    possible: () => true,
    draw: (_, random) => ({ kind: name, target: { of }, forMs: random.between(AWAY_MS.min, AWAY_MS.max), params: {} }),
    inject: async (scene, { target, forMs }) => {
      await end(scene)
      return {
        what: `${word}, away for ${forMs} ms`,
        shards: shardsOf(scene, target),
        heal: async () => {
          // Everything is ended anyway.
          if (!scene.signal.aborted) await scene.cluster.restart()
        },
      }
    },
  }
}

async function restartNode(scene: Scene, plan: FaultPlan): Promise<Healing> {
  const victims = await victimsOf(scene, plan)
  for (const { pid } of victims) signal(pid, 'SIGTERM')
  return {
    what: `SIGTERM of ${namesOf(victims)}`,
    shards: shardsOf(scene, plan.target),
    heal: async () => undefined,
  }
}
