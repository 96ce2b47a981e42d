import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { MoveState, OperationState } from '../../wire/control.js'
import { PartitionState } from '../../wire/node-admin.js'
import type { Cluster } from '../cluster.js'
import { FakeWorld } from '../testing/fake-world.js'
import * as scene from '../testing/scale-scene.js'
import { ended, never } from '../testing/scale-scene.js'

// A node is killed at each step of an operation in turn (the table in ../DESIGN.md). What its state machine goes through then is
// node-go/move/fault_test.go's; here it is who asks whom again.

let folder: string
let world: FakeWorld

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kvorum-kills-'))
  world = new FakeWorld()
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const [META, GIVER, RECEIVER] = [0, 1, 2]

function leaderOf(shard: number): string | undefined {
  return world.shard(shard).leader?.data.spec.name
}

function followerOf(shard: number): string | undefined {
  const nodes = [...world.running].filter(({ data }) => data.spec.shard === shard)
  return nodes.map(({ data }) => data.spec.name).find((name) => name !== leaderOf(shard))
}

/** Scales from one shard to two and kills somebody just before step `at`. Says which that was; undefined: there are no so many. */
async function killAt(at: number, victim: () => string | undefined): Promise<{ step?: string; cluster: Cluster }> {
  let left = Number.POSITIVE_INFINITY
  let step: string | undefined
  const pass = async (what: string) => {
    if (!/^(?:meta put|assign|import|heard|move|partitions)/.test(what) || --left !== 0) return
    const name = victim()
    step = what
    if (name !== undefined) world.kill(name)
  }
  const cluster = await scene.start({ folder, world, shards: 1, replicas: 3, pass })
  left = at
  await cluster.control.scale(2, false)
  const { state, moves } = await ended(cluster)
  expect(state, `killed at ${at}, ${step}`).toBe(OperationState.DONE)
  expect(moves.map((move) => move.state)).toEqual([MoveState.DONE])
  expect(moves[0]?.attempts, `killed at ${at}, ${step}`).toBeLessThanOrEqual(2)
  return { ...(step !== undefined && { step }), cluster }
}

test.each([
  ["the giver's leader", () => leaderOf(GIVER)],
  ["the giver's follower", () => followerOf(GIVER)],
  ["the receiver's leader", () => leaderOf(RECEIVER)],
  ["the receiver's follower", () => followerOf(RECEIVER)],
  ["meta's leader", () => leaderOf(META)],
])(
  '%s dies at any step, and the operation gets to its end',
  async (_, victim) => {
    const met = new Set<string>()
    for (let at = 1; ; at++) {
      world = new FakeWorld()
      const { step, cluster } = await killAt(at, victim)
      for (const [partition, owner] of cluster.maps.current().owners.entries()) {
        const row = world.shard(owner).partitions.rows[partition]
        expect([partition, row?.state, row?.whole]).toEqual([partition, PartitionState.OWNED, true])
      }
      await cluster.stop(never.forced)
      rmSync(folder, { recursive: true })
      if (step === undefined) break
      met.add(step.replace(/ \S+:\d+$/, ''))
    }
    for (const one of ['meta put', 'assign', 'partitions', 'import', 'heard 1', 'heard 5'])
      expect([...met]).toContain(one)
  },
  300_000,
)
