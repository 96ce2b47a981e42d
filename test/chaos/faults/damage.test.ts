// That damage is noticed: a node mends itself or refuses to serve, the others go on, and nobody is ever given wrong data. On
// the way the clocks of all nodes jump, which nobody notices.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { RequestWrapper } from '../../../orchestrator/client/index.js'
import { Cluster } from '../../harness/cluster.js'
import { keysOn } from '../../harness/keys.js'
import { LiveScene } from '../scene.js'
import { clockFaults } from './clock.js'
import { damage, damageFaults, PARTS, type Part } from './damage.js'
import type { FaultKind, Healing, Preparation, Scene, Target } from './fault.js'
import { SharedLab, whyNoLab } from './lab.js'
import { Random } from './random.js'

const SHARD = 1
const KEYS = 100
const PATIENT_MS = 30_000
const HOUR_S = 3_600

const shared = new SharedLab()
const kinds = new Map([...damageFaults(shared), ...clockFaults(shared)].map((kind) => [kind.name, kind]))
let prepared: Preparation
let scene: Scene
let client: RequestWrapper
let keys: string[]

beforeAll(async () => {
  if (whyNoLab !== undefined) return
  prepared = await shared.prepare()
  const cluster = await Cluster.start({ ...prepared.cluster, shards: 1 })
  const map = await cluster.map()
  scene = new LiveScene(cluster, map, 3, new AbortController().signal)
  client = new RequestWrapper(cluster.address, { deadlineMs: PATIENT_MS })
  const nextKey = keysOn(map, SHARD, 'damage')
  keys = Array.from({ length: KEYS }, nextKey)
  for (const key of keys) await client.put(key, contentOf(key))
})
afterAll(async () => {
  client?.close()
  await scene?.cluster.dispose()
  await prepared?.close()
})

test.each<Part>(['log', 'segments', 'stable'])(
  'in the %s: the node refuses to serve, the others go on',
  async (part) => {
    if (whyNoLab !== undefined) return
    await scene.cluster.settled()
    const { heal, what } = await begin('damage', { of: 'node', shard: SHARD, index: 1 }, { part, seed: 7 })
    expect(what).toMatch(/it refuses to serve/)
    await client.put(`${keys[0]}`, contentOf(`${keys[0]}`))
    expect((await scene.nodesOf(SHARD)).length).toBe(2)
    await heal()
    await allIsServedBy(1)
  },
)

test.each<Part>(['manifest', 'engine'])('in the %s: the node mends itself', async (part) => {
  if (whyNoLab !== undefined) return
  await scene.cluster.settled()
  const { heal } = await begin('damage', { of: 'node', shard: SHARD, index: 2 }, { part, seed: 3 })
  await allIsServedBy(2)
  await heal()
})

test('clocks that jump by hours: no change of leader, and what is sent again is applied once', async () => {
  if (whyNoLab !== undefined) return
  await scene.cluster.settled()
  const { id, term } = await scene.leaderOf(SHARD)
  let value = ''
  // The client's session is from before the jumps.
  for (const seconds of [12 * HOUR_S, -12 * HOUR_S]) {
    const { heal } = await begin('clock-jump', { of: 'nodes' }, { seconds })
    for (let i = 0; i < 20; i++) {
      await client.append('jumps', `${i};`)
      value += `${i};`
      expect(await client.get('jumps')).toBe(value)
    }
    await heal()
  }
  const after = await scene.leaderOf(SHARD)
  expect([after.id, after.term]).toEqual([id, term])
})

test('a seed is a damage, and it can be put back', () => {
  const folder = mkdtempSync(join(tmpdir(), 'kvorum-damage-'))
  try {
    for (const room of ['raft', 'engine']) mkdirSync(join(folder, room))
    const whole = Buffer.alloc(8_192, 'x')
    const files = ['raft/1.wal', 'raft/segments', 'raft/stable', 'engine/MANIFEST', 'engine/1.seg', 'engine/1.hint']
    for (const file of files) writeFileSync(join(folder, file), whole)
    const all = (): Buffer => Buffer.concat(files.map((file) => readFileSync(join(folder, file))))
    const intact = all()
    for (const part of PARTS) {
      const once = damage(folder, part, new Random(5))
      const broken = all()
      expect(broken.equals(intact)).toBe(false)
      once.putBack()
      expect(all().equals(intact)).toBe(true)
      expect(damage(folder, part, new Random(5)).what).toBe(once.what)
      expect(all().equals(broken)).toBe(true)
      once.putBack()
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
})

/** Every key, by this node as the leader, while the others only follow. */
async function allIsServedBy(index: number): Promise<void> {
  const { cluster } = scene
  await cluster.settled()
  await cluster.moveLeaderTo(await cluster.nodeAt(SHARD, index))
  for (const key of keys) expect(await client.get(key)).toBe(contentOf(key))
}

function contentOf(key: string): string {
  return `${key};`.repeat(20)
}

async function begin(name: string, target: Target, params: Record<string, string | number>): Promise<Healing> {
  const healing = await (kinds.get(name) as FaultKind).inject(scene, { kind: name, target, forMs: 0, params })
  console.log(healing.what)
  return healing
}
