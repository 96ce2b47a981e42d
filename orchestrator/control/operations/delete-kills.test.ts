import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { OperationState, Steer } from '../../wire/control.js'
import type { Cluster } from '../cluster.js'
import { dieAt } from '../testing/die-at.js'
import { FakeKeys } from '../testing/fake-keys.js'
import { FakeWorld } from '../testing/fake-world.js'
import { ended, never, type StartOptions, start } from '../testing/scale-scene.js'

let folder: string
let world: FakeWorld
let keys: FakeKeys

const OLD = Array.from({ length: 9 }, (_, at) => `old:${at}`)
const OTHERS = ['old', 'older', 'z']

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kvorum-delete-'))
})
afterEach(() => {
  vi.restoreAllMocks()
  rmSync(folder, { recursive: true, force: true })
})

function begin(options: Partial<StartOptions> = {}): Promise<Cluster> {
  const openKeys = () => keys.open(options.pass ?? (async () => {}))
  return start({ folder, world, shards: 1, openKeys, ...options })
}

/** Dies at that effect of a deletion, and says at which; undefined when there are no so many. */
function deleteAndDieAt(at: number, how: 'through' | 'cancelled'): Promise<string | undefined> {
  return dieAt(at, {
    start: begin,
    act: async (cluster) => {
      const begun = new Promise<void>((resolve) => {
        keys.onDelete = resolve
      })
      const { id } = await cluster.control.deletePrefix(Buffer.from('old:'), false)
      if (how === 'cancelled') {
        await begun
        // It may have ended by then.
        await cluster.control.steer(id, Steer.CANCEL).catch(() => {})
      }
      await ended(cluster)
    },
  })
}

test.each(['through', 'cancelled'] as const)(
  'an orchestrator that dies at any step of a deletion is followed by one that finishes it: %s',
  async (how) => {
    const met = new Set<string>()
    for (let at = 1; ; at++) {
      world = new FakeWorld()
      keys = new FakeKeys()
      keys.put(...OLD, ...OTHERS)
      const step = await deleteAndDieAt(at, how)
      if (step === undefined) break
      met.add(step)
      const cluster = await begin()
      const [operation] = await cluster.control.operations()
      const last = operation && (await ended(cluster))
      const left = keys.with('old:')
      if (last?.state === OperationState.DONE) expect(left, step).toEqual([])
      else expect([undefined, OperationState.CANCELLED], step).toContain(last?.state)
      if (how === 'through') expect(last === undefined || last.state === OperationState.DONE, step).toBe(true)
      if (last === undefined) expect(left, step).toEqual(OLD)
      // Never more than there were.
      expect(Number(last?.keys?.deleted ?? 0n), step).toBeLessThanOrEqual(OLD.length - left.length)
      // What is written from now on stays, whatever of the dead one is still on its way.
      keys.put(...OLD)
      keys.arrive()
      expect([...keys.rows.keys()].sort(), step).toEqual([...OLD, ...OTHERS].sort())
      await cluster.stop(never.forced)
      rmSync(folder, { recursive: true })
    }
    for (const step of ['meta put', 'keys count', 'keys scan', 'keys delete']) expect([...met]).toContain(step)
  },
  120_000,
)
