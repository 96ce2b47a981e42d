// Snapshots, cut logs and merges as often as they come, and followers that are away for so long that nothing but a snapshot
// brings them back. The nodes of the lab have small files (lab.ts), so a few MiB of writes are enough.
import { RequestWrapper } from '../../../orchestrator/client/index.js'
import { keysOn } from '../../harness/keys.js'
import { COMPACTED, INSTALLED, MERGED, NodeLog, SNAPSHOT_TAKEN } from '../../harness/node-log.js'
import { holdBack, letGo } from '../../harness/node-program.js'
import { signal } from '../../harness/process.js'
import type { NodeView } from '../../harness/status.js'
import type { FaultKind, FaultPlan, Healing, Scene, Shape } from './fault.js'
import { LabFault, type SharedLab } from './lab.js'
import { placesIn } from './places.js'
import type { Random } from './random.js'
import { anyShard } from './targets.js'

const STORM_MS = { min: 5_000, max: 9_000 }
/** The same few again and again: what was there is dead for the engine, which merges, and a long run does not fill the disk. */
const KEYS = 16
const VALUE_BYTES = 32 << 10
const WRITE_MS_MAX = 2_000

export class SnapshotStorm extends LabFault implements FaultKind {
  readonly takes = 'process'

  constructor(shared: SharedLab) {
    const about = 'a shard takes snapshots, cuts its log and merges all the time; followers come back by installs'
    super(shared, { name: 'snapshot-storm', about }, 3)
  }

  draw(shape: Shape, random: Random): FaultPlan {
    const target = { of: 'shard', shard: anyShard(shape, random) } as const
    const forMs = random.between(STORM_MS.min, STORM_MS.max)
    return { kind: this.name, target, forMs, params: { killed: random.chance(0.5) } }
  }

  async inject(scene: Scene, { target, params }: FaultPlan): Promise<Healing> {
    if (target.of !== 'shard') throw new TypeError('a storm is of a shard')
    const { shard } = target
    const storm = new Storm(scene, shard, params.killed === true)
    const raging = storm.rage()
    // Told by heal.
    raging.catch(() => undefined)
    return {
      get what() {
        return `snapshot-storm: shard ${shard}: ${storm.seen}`
      },
      shards: [shard],
      heal: async () => {
        storm.end()
        await raging
      },
    }
  }
}

class Storm {
  readonly #scene: Scene
  readonly #shard: number
  readonly #killed: boolean
  readonly #client: RequestWrapper
  readonly #keys: readonly string[]
  readonly #logs: readonly NodeLog[]
  #round = 0
  #away = 0
  #over = false

  constructor(scene: Scene, shard: number, killed: boolean) {
    this.#scene = scene
    this.#shard = shard
    this.#killed = killed
    this.#client = new RequestWrapper(scene.cluster.address, { deadlineMs: WRITE_MS_MAX })
    this.#keys = Array.from({ length: KEYS }, keysOn(scene.map, shard, 'storm'))
    this.#logs = placesIn(scene, shard).map((place) => new NodeLog(place))
  }

  /** What the nodes' own logs say of it so far. */
  get seen(): string {
    const count = (pattern: RegExp): number => this.#logs.reduce((sum, log) => sum + log.count(pattern), 0)
    const how = this.#killed ? 'killed' : 'stopped'
    return (
      `${this.#away} times a follower was ${how} until its log was cut away; ${count(SNAPSHOT_TAKEN)} snapshots taken, ` +
      `${count(INSTALLED)} installed, ${count(MERGED)} merges`
    )
  }

  end(): void {
    this.#over = true
  }

  async rage(): Promise<void> {
    try {
      for (let turn = 0; !this.#isOver; turn++) await this.#sendAway(turn)
    } finally {
      await this.#forget()
      this.#client.close()
    }
  }

  get #isOver(): boolean {
    return this.#over || this.#scene.signal.aborted
  }

  /** One follower, until its leader has no more the log that it lacks; then back, and until it was sent a snapshot. */
  async #sendAway(turn: number): Promise<void> {
    const follower = await this.#follower(turn).catch(() => undefined)
    // Another fault may have ended them: what is written goes on.
    if (follower === undefined) return this.#overwrite()
    const comeBack = this.#leave(follower)
    const logs = placesIn(this.#scene, this.#shard).map((place) => new NodeLog(place))
    const cut = (): boolean => logs.some((log) => log.indices(COMPACTED).some((to) => to > follower.last))
    try {
      await this.#overwriteUntil(cut)
    } finally {
      comeBack()
    }
    if (this.#isOver) return
    this.#away++
    await this.#overwriteUntil(() => logs.some((log) => log.count(INSTALLED) > 0))
  }

  async #follower(turn: number): Promise<NodeView | undefined> {
    const { id } = await this.#scene.leaderOf(this.#shard)
    const followers = (await this.#scene.nodesOf(this.#shard)).filter((node) => node.serving && node.id !== id)
    return followers[turn % followers.length]
  }

  #leave({ directory, pid }: NodeView): () => void {
    if (!this.#killed) {
      signal(pid, 'SIGSTOP')
      return () => signal(pid, 'SIGCONT')
    }
    holdBack(directory)
    signal(pid, 'SIGKILL')
    return () => letGo(directory)
  }

  async #overwriteUntil(isEnough: () => boolean): Promise<void> {
    while (!this.#isOver && !isEnough()) await this.#overwrite()
  }

  /** Who is refused tries again in the next round. */
  async #overwrite(): Promise<void> {
    const value = `${this.#round++}`.padEnd(VALUE_BYTES, '.')
    await Promise.all(this.#keys.map((key) => this.#client.put(key, value).catch(() => undefined)))
  }

  async #forget(): Promise<void> {
    if (this.#scene.signal.aborted) return
    await Promise.all(this.#keys.map((key) => this.#client.delete(key).catch(() => undefined)))
  }
}
