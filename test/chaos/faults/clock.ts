// Wall clocks that jump by hours, as an operator or a time server makes them. Monotonic clocks go on: nothing may depend on
// more than those.
import type { FaultKind, FaultPlan, Healing, Scene, Shape, Target } from './fault.js'
import { LabFault, type SharedLab } from './lab.js'
import { order } from './orders.js'
import { placesOf, shardsOf } from './places.js'
import type { Random } from './random.js'

const HOUR_S = 3_600
const HOURS_MAX = 12

export function clockFaults(shared: SharedLab): FaultKind[] {
  return [new ClockJump(shared)]
}

class ClockJump extends LabFault implements FaultKind {
  readonly takes = 'process'

  constructor(shared: SharedLab) {
    super(shared, {
      name: 'clock-jump',
      about: 'the wall clock of a node, a shard or all nodes jumps by hours, and back',
    })
  }

  draw({ shards, replicas }: Shape, random: Random): FaultPlan {
    const shard = random.between(0, shards)
    const targets: Target[] = [
      { of: 'node', shard, index: random.between(1, replicas) },
      { of: 'shard', shard },
      { of: 'nodes' },
    ]
    const seconds = random.between(1, HOURS_MAX * HOUR_S) * (random.chance(0.5) ? 1 : -1)
    return { kind: this.name, target: random.pick(targets), forMs: random.between(500, 5_000), params: { seconds } }
  }

  async inject(scene: Scene, { target, params }: FaultPlan): Promise<Healing> {
    const places = await placesOf(scene, target)
    const jump = (clockSeconds: number) =>
      Promise.all(places.map((place) => order(place, (now) => ({ ...now, clockSeconds }))))
    await jump(Number(params.seconds))
    return {
      what: `clock-jump: ${places.map(({ words }) => words).join(', ')}: by ${params.seconds} s`,
      shards: shardsOf(scene, places),
      heal: async () => {
        await jump(0)
      },
    }
  }
}
