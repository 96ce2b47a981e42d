// Damage in one node's files, done while it is down. Its engine and hints are mended from the log or by a peer. Its Raft log
// holds votes and acknowledgements that nobody else has: the node refuses to serve, the others go on. Such a node cannot be
// replaced yet, so the bytes are remembered and put back.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { holdBack, letGo } from '../../harness/node-program.js'
import { processesOf, signal } from '../../harness/process.js'
import { until } from '../../harness/wait.js'
import type { FaultKind, FaultPlan, Healing, Scene, Shape } from './fault.js'
import { LabFault, type SharedLab } from './lab.js'
import { type Place, placesOf, shardsOf } from './places.js'
import { Random } from './random.js'

/** What may be hit, and whether the node must refuse to serve then. */
const FILES = {
  log: { matching: /^raft\/.*\.wal$/, refuses: true },
  segments: { matching: /^raft\/segments$/, refuses: true },
  stable: { matching: /^raft\/stable$/, refuses: true },
  manifest: { matching: /^engine\/MANIFEST$/, refuses: false },
  engine: { matching: /^engine\/.*\.seg$/, refuses: false },
  hint: { matching: /^engine\/.*\.hint$/, refuses: false },
} as const

export type Part = keyof typeof FILES
export const PARTS = Object.keys(FILES) as readonly Part[]

const SECTOR_BYTES = 512
/** So much of a log is written that there are several writes. */
const LOG_BYTES_MIN = 4 * SECTOR_BYTES
/** kvnode's exit code for data that it cannot mend (node-go/cmd/kvnode/exit.go). */
const DAMAGED = /exit code 65/
const REFUSAL_MS_MAX = 15_000

export interface Damage {
  /** "a bit of raft/stable at byte 17" */
  readonly what: string
  /** The node must refuse to serve. */
  readonly refuses: boolean
  putBack(): void
}

/**
 * Flips a bit of a file, or makes a sector of it zeros, by chance. Where there is no such file, or nothing in it, another one
 * of the same room is hit. Of a log it is the segment that is checked at the start, and not its last write: damage there
 * looks like a write that a crash has torn (node-go/raftlog/DESIGN.md).
 */
export function damage(directory: string, part: Part, random: Random): Damage {
  const { matching, refuses } = FILES[part]
  const names = readdirSync(directory, { recursive: true, encoding: 'utf8' }).sort()
  const found = names.filter((name) => matching.test(name)).slice(part === 'log' ? -1 : 0)
  const hit = found.filter((name) => writtenIn(join(directory, name)) > (part === 'log' ? LOG_BYTES_MIN : 0))
  if (hit.length === 0) return damage(directory, refuses ? 'stable' : 'manifest', random)
  const name = random.pick(hit)
  const path = join(directory, name)
  const was = readFileSync(path)
  const end = part === 'log' ? Math.ceil(writtenIn(path) / 2) : writtenIn(path)
  const at = random.between(0, end - 1)
  const broken = Buffer.from(was)
  const sector = at - (at % SECTOR_BYTES)
  const isTorn = random.chance(0.3) && sector + SECTOR_BYTES <= end
  if (isTorn) broken.fill(0, sector, sector + SECTOR_BYTES)
  else broken.writeUInt8(broken.readUInt8(at) ^ (1 << random.between(0, 7)), at)
  writeFileSync(path, broken)
  return {
    what: isTorn ? `zeros in ${name} from byte ${sector}` : `a bit of ${name} at byte ${at}`,
    refuses,
    putBack: () => writeFileSync(path, was),
  }
}

/** A segment is made of zeros until something is written. */
function writtenIn(path: string): number {
  const data = readFileSync(path)
  let end = data.length
  while (end > 0 && data[end - 1] === 0) end--
  return end
}

export function damageFaults(shared: SharedLab): FaultKind[] {
  return [new DamageFault(shared)]
}

class DamageFault extends LabFault implements FaultKind {
  readonly takes = 'data'
  readonly restarts = true

  constructor(shared: SharedLab) {
    super(
      shared,
      {
        name: 'damage',
        about: "a bit or a sector of one node's files is wrong when it starts: it mends itself, or refuses to serve",
      },
      3,
    )
  }

  draw({ shards, replicas }: Shape, random: Random): FaultPlan {
    const target = { of: 'node', shard: random.between(1, shards), index: random.between(1, replicas) } as const
    const params = { part: random.pick(PARTS), seed: random.between(0, 2 ** 32 - 1) }
    return { kind: this.name, target, forMs: random.between(1_000, 4_000), params }
  }

  async inject(scene: Scene, { target, params }: FaultPlan): Promise<Healing> {
    const [place] = await placesOf(scene, target)
    if (place === undefined) throw new TypeError('damage of no node')
    const told = scene.cluster.orchestrator.stderr.length
    const random = new Random(Number(params.seed))
    const done = await whileDown(scene, place, () => damage(place.directory, params.part as Part, random))
    if (done.refuses) {
      const refused = (): boolean => DAMAGED.test(scene.cluster.orchestrator.stderr.slice(told))
      await until(`${place.name} to refuse to serve: ${done.what}`, refused, REFUSAL_MS_MAX).catch((error: unknown) => {
        done.putBack()
        throw error
      })
    }
    return {
      what: `damage: ${place.words}: ${done.what}${done.refuses ? '; it refuses to serve' : ''}`,
      // The gateway is started again with the orchestrator.
      shards: done.refuses ? scene.shards : shardsOf(scene, [place]),
      heal: () => (done.refuses ? makeWhole(scene, done) : Promise.resolve()),
    }
  }
}

/** Ends the node's process, and lets the next one begin when the work is done. */
async function whileDown<T>(scene: Scene, { shard, name, directory }: Place, work: () => T): Promise<T> {
  holdBack(directory)
  try {
    const running = scene.processesOf(shard).find((one) => one.name === name)
    if (running !== undefined) {
      signal(running.pid, 'SIGKILL')
      await until(`${name} to be gone`, () => !processesOf(directory).some(({ pid }) => pid === running.pid))
    }
    return work()
  } finally {
    letGo(directory)
  }
}

/** A node that has refused is not started again by its orchestrator, but by the next one. */
async function makeWhole({ cluster, signal: interrupted }: Scene, done: Damage): Promise<void> {
  done.putBack()
  if (interrupted.aborted) return
  cluster.orchestrator.signal('SIGKILL')
  await cluster.orchestrator.ended
  await cluster.restart()
}
