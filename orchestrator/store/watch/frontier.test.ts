import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { NodeEvent } from '../../wire/watch.js'
import { Frontier } from './frontier.js'
import { KEYS, MovingShards, SHARDS } from './testing/moving-shards.js'
import { decodeToken } from './token.js'

const watched = new Set(KEYS.map(({ partition }) => partition))
const wants = (partition: number) => watched.has(partition)

/** Reads the logs of all shards through one frontier, in any order between them. */
class Reader {
  readonly told: { key: string; version: bigint }[] = []
  readonly #world: MovingShards
  readonly #at = new Map<number, number>()
  #frontier = new Frontier('c', wants)

  constructor(world: MovingShards) {
    this.#world = world
  }

  /** Begins each shard at its moment; false: not at these moments. */
  begin(moments: readonly number[]): boolean {
    for (const [i, shard] of SHARDS.entries()) this.#begin(shard, this.#world.lengthAt(shard, moments[i] as number))
    return this.#frontier.settle(true)
  }

  /** Takes the shard's next event; false if there is none, or it has to wait. */
  take(shard: number): boolean {
    const log = this.#world.logs.get(shard) as { event: NodeEvent | undefined }[]
    const at = this.#at.get(shard) as number
    const entry = log[at]
    if (entry === undefined) return false
    if (entry.event === undefined) {
      this.#frontier.advance(shard, { index: BigInt(at + 1), skip: 0 })
    } else {
      const verdict = this.#frontier.take(shard, entry.event)
      if (verdict === 'wait') return false
      const { change } = entry.event
      if (verdict === 'tell' && change.type === 'put') {
        this.told.push({ key: Buffer.from(change.key).toString(), version: change.version })
      }
    }
    this.#at.set(shard, at + 1)
    return true
  }

  /** Forgets everything but the token. */
  restart(): void {
    const from = decodeToken(this.#frontier.token(), 'c')
    this.#frontier = new Frontier('c', wants, from)
    for (const shard of SHARDS) this.#begin(shard, Number(from.positions.get(shard)?.index))
    expect(this.#frontier.settle(false)).toBe(true)
  }

  /** Until the end of all logs. */
  finish(): void {
    for (let moved = true; moved; ) moved = SHARDS.filter((shard) => this.take(shard)).length > 0
    for (const shard of SHARDS) expect(this.#at.get(shard)).toBe(this.#world.logs.get(shard)?.length)
  }

  #begin(shard: number, length: number): void {
    this.#at.set(shard, length)
    this.#frontier.begin(shard, { index: BigInt(length), skip: 0 }, this.#world.heldAt(shard, length))
  }
}

test('each change is told once, in the order of its key, whatever moves and in whichever order the shards are read', () => {
  const number = fc.nat({ max: 8 })
  const steps = fc.array(fc.tuple(number, number, number), { minLength: 20, maxLength: 120 })
  const moments = fc.array(fc.nat({ max: 1000 }), { minLength: 3, maxLength: 3 })
  const reading = fc.array(fc.nat({ max: 4 }), { minLength: 100, maxLength: 300 })
  let settled = 0
  fc.assert(
    fc.property(steps, moments, reading, (history, starts, order) => {
      const world = new MovingShards()
      for (const [what, which, shard] of history) world.step(what, which, shard)
      const began = starts.map((at) => at % (world.now + 1))
      const reader = new Reader(world)
      if (!reader.begin(began)) return
      settled++
      for (const pick of order) {
        const shard = SHARDS[pick]
        if (shard === undefined) reader.restart()
        else reader.take(shard)
      }
      reader.finish()
      const since = Math.max(...began)
      for (const { name } of KEYS) {
        const versions = reader.told.filter(({ key }) => key === name).map(({ version }) => version)
        const all = world.happened.filter(({ key }) => key === name)
        const due = all.filter(({ at }) => at > since).length
        // The end of what happened, without a gap: all that came after the beginning, and perhaps something before.
        expect(versions).toEqual(all.slice(all.length - versions.length).map(({ version }) => version))
        expect(versions.length).toBeGreaterThanOrEqual(due)
      }
    }),
    { numRuns: 400 },
  )
  expect(settled).toBeGreaterThan(100)
})

test('partitions between two owners at the beginning: not yet', () => {
  const gone = { first: 0, last: 0, epoch: 7n, holding: 'gone' } as const
  const frontier = new Frontier('c', (partition) => partition === 0)
  frontier.begin(1, { index: 5n, skip: 0 }, [gone])
  frontier.begin(2, { index: 9n, skip: 0 }, [{ ...gone, epoch: 6n, holding: 'owned' }])
  expect(frontier.settle(true)).toBe(false)
})
