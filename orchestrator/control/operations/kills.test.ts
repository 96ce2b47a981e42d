import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { MoveState, OperationState, Steer } from '../../wire/control.js'
import type { Cluster } from '../cluster.js'
import * as testing from '../testing/die-at.js'
import { FakeWorld } from '../testing/fake-world.js'
import * as scene from '../testing/scale-scene.js'
import { ended, never, type StartOptions } from '../testing/scale-scene.js'

let folder: string
let world: FakeWorld

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kvorum-scale-'))
  world = new FakeWorld()
})
afterEach(() => {
  vi.restoreAllMocks()
  rmSync(folder, { recursive: true, force: true })
})

function start(options: Partial<StartOptions> = {}): Promise<Cluster> {
  return scene.start({ folder, world, ...options })
}

function expectWhole(cluster: Cluster, shards: number): void {
  scene.expectWhole(world, cluster, shards)
}

describe('an orchestrator that dies', () => {
  interface Scene {
    readonly from: number
    readonly to: number
    readonly outlives: boolean
    /** Cancels when so many moves are done. */
    readonly cancelAfter?: number
    readonly partitionsPerMoveMax: number
  }

  function dieAt(at: number, { from, to, cancelAfter, partitionsPerMoveMax }: Scene): Promise<string | undefined> {
    return testing.dieAt(at, {
      start: (parts) => start({ shards: from, partitionsPerMoveMax, ...parts }),
      act: async (cluster) => {
        const { id } = await cluster.control.scale(to, false)
        if (cancelAfter !== undefined) {
          for await (const { moves } of cluster.control.watch(id, never.asked)) {
            if (moves.filter(({ state }) => state === MoveState.DONE).length >= cancelAfter) break
          }
          // It may have ended by then.
          await cluster.control.steer(id, Steer.CANCEL).catch(() => {})
        }
        await ended(cluster)
      },
    })
  }

  const scenes: readonly (readonly [string, Scene])[] = [
    ['one shard more', { from: 1, to: 2, outlives: false, partitionsPerMoveMax: 1024 }],
    ['one shard more, whose imports go on', { from: 1, to: 2, outlives: true, partitionsPerMoveMax: 1024 }],
    ['one shard less', { from: 2, to: 1, outlives: false, partitionsPerMoveMax: 1024 }],
    ['one shard less, whose imports go on', { from: 2, to: 1, outlives: true, partitionsPerMoveMax: 1024 }],
    ['one shard more, cancelled', { from: 1, to: 2, outlives: true, partitionsPerMoveMax: 256, cancelAfter: 1 }],
    ['one shard less, cancelled', { from: 2, to: 1, outlives: false, partitionsPerMoveMax: 256, cancelAfter: 1 }],
  ]

  test.each(scenes)(
    'at any step of %s is followed by one that finishes it',
    async (_, scene) => {
      const met = new Set<string>()
      for (let at = 1; ; at++) {
        world = new FakeWorld()
        world.imports.outlives = scene.outlives
        const how = await dieAt(at, scene)
        if (how === undefined) break
        met.add(how.split(' ')[0] ?? '')
        const cluster = await start()
        const [operation] = await cluster.control.operations()
        const state = operation === undefined ? OperationState.CANCELLED : (await ended(cluster)).state
        expect([OperationState.DONE, OperationState.CANCELLED], how).toContain(state)
        expectWhole(cluster, state === OperationState.DONE ? scene.to : scene.from)
        await cluster.stop(never.forced)
        rmSync(folder, { recursive: true })
      }
      for (const step of ['meta', 'import', 'heard', 'setMap', 'partitions']) expect([...met]).toContain(step)
    },
    300_000,
  )
})
