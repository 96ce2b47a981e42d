// What disks do: fsyncs that fail and hang, no room, and power cuts that lose what no fsync has covered.
import type { FaultKind, FaultPlan, Healing, Scene, Shape, Target } from './fault.js'
import { LabFault, type SharedLab } from './lab.js'
import { type Broken, cutPower, order } from './orders.js'
import { type Place, placesOf, shardsOf } from './places.js'
import type { Random } from './random.js'

/** Longer than the node's watchdog bears a disk that hangs. */
const STALL_MS = 5_000

interface Kind {
  readonly name: string
  readonly about: string
  readonly broken: Broken
  readonly words: string
}

const KINDS: readonly Kind[] = [
  {
    name: 'fsync-fails',
    about: 'every fsync of a node says EIO: it must end, and may not try again as if nothing had happened',
    broken: { syncFails: true },
    words: 'every fsync fails',
  },
  {
    name: 'fsync-stalls',
    about: 'every fsync of a node hangs for 5 s: it must give up its place',
    broken: { syncStallsMs: STALL_MS },
    words: 'every fsync hangs',
  },
  {
    name: 'disk-full',
    about: 'there is no room left for a node, and later there is again',
    broken: { full: true },
    words: 'its disk is full',
  },
]

/** All that the node program with faults in it does to its disk. */
export function diskFaults(shared: SharedLab): FaultKind[] {
  return [...KINDS.map((kind) => new DiskFault(kind, shared)), new PowerCut(shared)]
}

class DiskFault extends LabFault implements FaultKind {
  readonly takes = 'process'

  constructor(
    private readonly kind: Kind,
    shared: SharedLab,
  ) {
    super(shared, kind, 3)
  }

  draw(shape: Shape, random: Random): FaultPlan {
    return { kind: this.name, target: oneNode(shape, random), forMs: random.between(1_000, 7_000), params: {} }
  }

  async inject(scene: Scene, { target }: FaultPlan): Promise<Healing> {
    const places = await placesOf(scene, target)
    const { broken, words } = this.kind
    const keys = Object.keys(broken) as (keyof Broken)[]
    await every(places, (disk) => ({ ...disk, ...broken }))
    return {
      what: `${this.name}: ${places.map((place) => place.words).join(', ')}: ${words}`,
      shards: shardsOf(scene, places),
      // Another fault of the disk may go on.
      heal: () =>
        every(places, (disk) => Object.fromEntries(Object.entries(disk).filter(([key]) => !isOneOf(keys, key)))),
    }
  }
}

function isOneOf(keys: readonly string[], key: string): boolean {
  return keys.includes(key)
}

async function every(places: readonly Place[], change: (disk: Broken) => Broken): Promise<void> {
  await Promise.all(places.map((place) => order(place, (now) => ({ ...now, disk: change(now.disk ?? {}) }))))
}

class PowerCut extends LabFault implements FaultKind {
  readonly takes = 'process'

  constructor(shared: SharedLab) {
    super(shared, {
      name: 'power-cut',
      about: 'nodes lose their power, and any part of what no fsync has covered: one, a shard, or all at once',
    })
  }

  draw(shape: Shape, random: Random): FaultPlan {
    const whom = random.float()
    const one = oneNode(shape, random)
    const target: Target =
      whom < 0.5 ? one : whom < 0.85 ? { of: 'shard', shard: random.between(0, shape.shards) } : { of: 'nodes' }
    return { kind: this.name, target, forMs: 0, params: { seed: random.between(0, 2 ** 32 - 1) } }
  }

  async inject(scene: Scene, { target, params }: FaultPlan): Promise<Healing> {
    const places = await placesOf(scene, target)
    const cut = places.flatMap((place) =>
      scene
        .processesOf(place.shard)
        .filter(({ name }) => name === place.name)
        .map(({ pid }) => ({ place, pid })),
    )
    await Promise.all(cut.map(({ place, pid }, at) => cutPower(place, pid, Number(params.seed) + at)))
    return {
      what: `power-cut: ${cut.map(({ place, pid }) => `${place.words} (pid ${pid})`).join(', ')}`,
      shards: shardsOf(scene, places),
      heal: async () => undefined,
    }
  }
}

/** Mostly leaders. Of meta, whose leader nobody is told, any node. */
function oneNode({ shards, replicas }: Shape, random: Random): Target {
  const shard = random.between(0, shards)
  const index = random.between(1, replicas)
  return shard === 0 || random.chance(0.4) ? { of: 'node', shard, index } : { of: 'leader', shard }
}
