// That the faults of the disk happen, and what a node does then. In the end every append that was acknowledged is there
// once; on disks that lie it is not, or the ledger would see nothing.
import { afterEach, expect, test } from 'vitest'
import { RequestWrapper } from '../../../orchestrator/client/index.js'
import { Cluster } from '../../harness/cluster.js'
import { keysOn } from '../../harness/keys.js'
import { until } from '../../harness/wait.js'
import { LiveScene } from '../scene.js'
import { diskFaults } from './disk.js'
import type { FaultKind, FaultPlan, Healing, Preparation, Scene, Target } from './fault.js'
import { SharedLab, whyNoLab } from './lab.js'
import { order } from './orders.js'
import { placesOf } from './places.js'

const SHARD = 1
const LEADER: Target = { of: 'leader', shard: SHARD }
const ALL: Target = { of: 'shard', shard: SHARD }
const PATIENT_MS = 30_000
/** What kvnode ends with (node-go/cmd/kvnode/exit.go). */
const CANNOT_WRITE = /exit code 74/
const STALLED = /exit code 75/

const shared = new SharedLab()
const kinds = new Map(diskFaults(shared).map((kind) => [kind.name, kind]))
let prepared: Preparation
let scene: Scene
let client: RequestWrapper

afterEach(async () => {
  client?.close()
  await scene?.cluster.dispose()
  await prepared?.close()
})

test('fsyncs that fail, and hang, and a disk that is full: the node ends and says why, the others serve, it is back', async ({
  skip,
}) => {
  skip(whyNoLab !== undefined, whyNoLab)
  await start()
  const tokens = new Tokens()
  for (const [name, says] of [
    ['fsync-fails', CANNOT_WRITE],
    ['fsync-stalls', STALLED],
    ['disk-full', CANNOT_WRITE],
  ] as const) {
    const told = scene.cluster.orchestrator.stderr.length
    const leader = await scene.leaderOf(SHARD)
    const { heal } = await begin(name, LEADER)
    await tokens.append(20)
    await until('it to end, and to say why', () => says.test(scene.cluster.orchestrator.stderr.slice(told)))
    expect((await scene.leaderOf(SHARD)).id).not.toBe(leader.id)
    await heal()
    await scene.cluster.settled()
  }
  await tokens.mustBeThere()
})

test('power cuts of one node and of all at once: all that was acknowledged is there', async ({ skip }) => {
  skip(whyNoLab !== undefined, whyNoLab)
  await start()
  const tokens = new Tokens()
  for (let seed = 1; seed <= 4; seed++) {
    const appending = tokens.append(60)
    await tokens.hasGrown(20)
    const pids = new Set((await scene.nodesOf(SHARD)).map(({ pid }) => pid))
    await begin('power-cut', seed % 2 === 0 ? ALL : LEADER, { seed })
    await appending
    await scene.cluster.settled()
    const same = (await scene.nodesOf(SHARD)).filter(({ pid }) => pids.has(pid))
    expect(same).toHaveLength(seed % 2 === 0 ? 0 : 2)
  }
  await tokens.mustBeThere()
})

test('on disks that lie a power cut of all of them takes what was acknowledged: that is seen', async ({ skip }) => {
  skip(whyNoLab !== undefined, whyNoLab)
  await start()
  const tokens = new Tokens()
  await tokens.append(10)
  const places = await placesOf(scene, ALL)
  for (const place of places) await order(place, () => ({ disk: { syncLies: true } }))
  await tokens.append(100)
  await begin('power-cut', ALL, { seed: 1 })
  for (const place of places) await order(place, () => ({}))
  // Either it is noticed as damage, and nobody serves, or some of it is gone.
  const lost = await tokens.mustBeThere(5_000).then(
    () => undefined,
    (error: unknown) => error,
  )
  expect(lost).toBeDefined()
})

/** Appends that follow one another, to one key. */
class Tokens {
  readonly #key = keysOn(scene.map, SHARD, 'tokens')()
  #acknowledged = ''
  #count = 0

  async append(count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      const token = `${this.#count};`
      await client.append(this.#key, token)
      this.#acknowledged += token
      this.#count++
    }
  }

  async hasGrown(by: number): Promise<void> {
    const enough = this.#count + by
    await until('appends to be acknowledged', () => this.#count >= enough)
  }

  async mustBeThere(deadlineMs = PATIENT_MS): Promise<void> {
    expect(await client.get(this.#key, { deadlineMs })).toBe(this.#acknowledged)
  }
}

async function start(): Promise<void> {
  prepared = await shared.prepare()
  const cluster = await Cluster.start({ ...prepared.cluster, shards: 1 })
  scene = new LiveScene(cluster, await cluster.map(), 3, new AbortController().signal)
  client = new RequestWrapper(cluster.address, { deadlineMs: PATIENT_MS })
  await cluster.settled()
}

async function begin(name: string, target: Target, params: FaultPlan['params'] = {}): Promise<Healing> {
  const healing = await (kinds.get(name) as FaultKind).inject(scene, { kind: name, target, forMs: 0, params })
  console.log(healing.what)
  return healing
}
