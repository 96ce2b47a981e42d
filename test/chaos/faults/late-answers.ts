// A leader whose lease outlives the election of another one: its peers' answers reach it later and later, and then it is not
// heard any more. Answers that are under way keep it in the belief that a majority follows it, while that majority has
// waited and elects. Only a proof that is newer than a read keeps such a leader from answering with what was true before.
import { setTimeout as pause } from 'node:timers/promises'
import { lookAt } from '../../harness/status.js'
import type { FaultKind, FaultPlan, Healing, Scene, Shape, Target } from './fault.js'
import { LabFault, type SharedLab } from './lab.js'
import { peersOf } from './network.js'
import { type Place, placesOf } from './places.js'
import type { FaultProxy } from './proxy.js'
import type { Random } from './random.js'
import { anyShard, shardsOf } from './targets.js'

/**
 * Raft waits for the answer to each message before it sends the next one, to each peer by two ways at once: some answer
 * still arrives within the lease (400 ms). With what is under way the lease ends 600 to 850 ms after the leader was last
 * heard; a follower campaigns after 500 to 1,000 ms, and there are two. On a busy machine less is better.
 */
const LATE_MS = { min: 200, max: 450 }
/** In steps so small and rare that no gap between two answers is as long as the lease. */
const STEPS = 5
const STEP_EVERY_MS = 200
/** Another one is elected meanwhile, or nobody is for another reason. */
const UNHEARD_MS_MAX = 2_000
/** For writes through the new leader, and reads through the old one. */
const STALE_MS = 150
const LOOK_MS = 20
/** After each time: clients and peers find each other. */
const REST_MS = 400
const FOR_MS = { min: 5_000, max: 8_000 }

let faults = 0

export class LateAnswers extends LabFault implements FaultKind {
  readonly takes = 'process'

  constructor(shared: SharedLab) {
    const about =
      'leaders hear their peers later and later, and then are not heard: they believe in their lease while others elect'
    super(shared, { name: 'late-answers', about }, 3)
  }

  draw(shape: Shape, random: Random): FaultPlan {
    const target: Target = random.chance(0.5) ? { of: 'nodes' } : { of: 'leader', shard: anyShard(shape, random) }
    const forMs = random.between(FOR_MS.min, FOR_MS.max)
    return { kind: this.name, target, forMs, params: { lateMs: random.between(LATE_MS.min, LATE_MS.max) } }
  }

  async inject(scene: Scene, { target, params }: FaultPlan): Promise<Healing> {
    const { proxy } = await this.shared.lab()
    const over = new AbortController()
    const signal = AbortSignal.any([scene.signal, over.signal])
    const shards = shardsOf(scene, target)
    const lateMs = Number(params.lateMs)
    const struck = shards.map((shard) => againAndAgain({ scene, proxy, shard, lateMs, signal, id: faults++ }))
    const worse = Promise.all(struck)
    // Told by heal.
    worse.catch(() => undefined)
    const whom = shards.map((shard) => `shard ${shard}`).join(', ')
    return {
      what: `${this.name}: leaders of ${whom}: hear their peers up to ${lateMs} ms late, then are not heard, again and again`,
      shards,
      heal: async () => {
        over.abort()
        await worse
      },
    }
  }
}

interface Struck {
  readonly scene: Scene
  readonly proxy: FaultProxy
  readonly shard: number
  readonly lateMs: number
  /** Ends it early, and well. */
  readonly signal: AbortSignal
  readonly id: number
}

async function againAndAgain(struck: Struck): Promise<void> {
  const { scene, proxy, shard, signal, id } = struck
  while (!signal.aborted) {
    // Another fault may keep the shard without a leader.
    const [place] = await placesOf(scene, { of: 'leader', shard }).catch(() => [])
    try {
      if (place !== undefined) await once(struck, place)
    } finally {
      await Promise.all([proxy.heal(lateId(id)), proxy.heal(unheardId(id))])
    }
    await rest(REST_MS, signal)
  }
}

async function once({ scene, proxy, shard, lateMs, signal, id }: Struck, leader: Place): Promise<void> {
  const toPeers = peersOf(scene, leader)
  const fromPeers = toPeers.map(({ from, to }) => ({ from: to, to: from }))
  for (let step = 1; step <= STEPS && !signal.aborted; step++) {
    await proxy.set(lateId(id), { links: fromPeers, rule: { delayMs: (lateMs * step) / STEPS } })
    await rest(STEP_EVERY_MS, signal)
  }
  if (signal.aborted) return
  await proxy.set(unheardId(id), { links: toPeers, rule: { cut: true } })
  const until = performance.now() + UNHEARD_MS_MAX
  while (!signal.aborted && performance.now() < until && !(await anotherLeads(scene, shard, leader))) {
    await rest(LOOK_MS, signal)
  }
  await rest(STALE_MS, signal)
}

async function anotherLeads({ map }: Scene, shard: number, { directory: old }: Place): Promise<boolean> {
  const nodes = map.shards.find(({ id }) => id === shard)?.nodes ?? []
  return (await lookAt(shard, nodes)).some(({ ready, directory }) => ready && directory !== old)
}

function lateId(id: number): string {
  return `late-answers-${id}-late`
}

function unheardId(id: number): string {
  return `late-answers-${id}-unheard`
}

async function rest(ms: number, signal: AbortSignal): Promise<void> {
  await pause(ms, undefined, { signal }).catch(() => undefined)
}
