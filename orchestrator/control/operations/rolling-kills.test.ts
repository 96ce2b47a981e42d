import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { type Operation, OperationState, Steer, StepState } from '../../wire/control.js'
import type { Cluster } from '../cluster.js'
import { dieAt } from '../testing/die-at.js'
import { FakeWorld } from '../testing/fake-world.js'
import { expectAllRun, nameOf, programOf, watchEnds } from '../testing/rolling-scene.js'
import * as scene from '../testing/scale-scene.js'
import { never } from '../testing/scale-scene.js'

let folder: string
let world: FakeWorld

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kvorum-rolling-'))
})
afterEach(() => {
  vi.restoreAllMocks()
  rmSync(folder, { recursive: true, force: true })
})

const REPLICAS = 3
const NODES = 2 * REPLICAS
const V2 = nameOf('2.0.0')

interface Scene {
  readonly upgrade: boolean
  /** Nodes with the new program end at once. */
  readonly broken: boolean
  /** Cancels when so many nodes are done. */
  readonly cancelAfter?: number
}

async function roll(cluster: Cluster, { upgrade, cancelAfter }: Scene): Promise<undefined> {
  const { control } = cluster
  const { id } = upgrade ? await control.upgrade(programOf(folder, '2.0.0')) : await control.restart('')
  for await (const { steps, state } of control.watch(id, never.asked)) {
    if (state === OperationState.PAUSED) return
    if (steps.filter((step) => step.state === StepState.DONE).length >= (cancelAfter ?? NODES)) break
  }
  if (cancelAfter !== undefined) await control.steer(id, Steer.CANCEL)
  await scene.ended(cluster)
}

/** What becomes of it with the next orchestrator. One that has paused by itself is cancelled. */
async function finish(cluster: Cluster): Promise<Operation | undefined> {
  const [operation] = await cluster.control.operations()
  if (operation === undefined) return undefined
  for await (const { state, detail, id } of cluster.control.watch(operation.id, AbortSignal.timeout(60_000))) {
    if (state !== OperationState.PAUSED) continue
    expect(detail).toContain('did not come up')
    expectAllRun(world, NODES, undefined)
    await cluster.control.steer(id, Steer.CANCEL)
  }
  return scene.ended(cluster)
}

test.each<readonly [string, Scene]>([
  ['a restart', { upgrade: false, broken: false }],
  ['an upgrade', { upgrade: true, broken: false }],
  ['an upgrade that is cancelled', { upgrade: true, broken: false, cancelAfter: 2 }],
  ['an upgrade to a broken program', { upgrade: true, broken: true }],
])(
  'an orchestrator that dies at any step of %s is followed by one that finishes it',
  async (_, scenery) => {
    const met = new Set<string>()
    for (let at = 1; ; at++) {
      world = new FakeWorld()
      if (scenery.broken) world.broken.set(V2, { code: 64 })
      const watch = watchEnds(world, REPLICAS)
      const how = await dieAt(at, {
        start: (parts) => scene.start({ folder, world, shards: 1, replicas: REPLICAS, ...parts }),
        act: (cluster) => roll(cluster, scenery),
      })
      if (how === undefined) break
      met.add(how.split(' ')[0] ?? '')
      const cluster = await scene.start({ folder, world })
      const operation = await finish(cluster)
      const ends = [OperationState.DONE, OperationState.CANCELLED]
      if (operation !== undefined) expect(ends, how).toContain(operation.state)
      const isNew = scenery.upgrade && operation?.state === OperationState.DONE
      expectAllRun(world, NODES, isNew ? V2 : undefined)
      expect(watch.faults, how).toEqual([])
      if (operation !== undefined && scenery.upgrade)
        expect(readdirSync(join(folder, 'bin'))).toEqual(isNew ? [V2] : [])
      await cluster.stop(never.forced)
      rmSync(folder, { recursive: true })
    }
    for (const step of ['meta', 'spawn', 'setNodes']) expect([...met]).toContain(step)
    if (!scenery.broken) expect([...met]).toContain('transfer')
  },
  300_000,
)
