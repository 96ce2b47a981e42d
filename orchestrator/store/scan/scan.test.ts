import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { keyBehind, rangeOf } from '../../core/range.js'
import { DeadlineExceededError, UnavailableError } from '../../errors/index.js'
import { PagedWorld } from '../testing/paged-world.js'
import { countRange, scanPage, scanRuns } from './scan.js'

const ALL = rangeOf(new Uint8Array(), new Uint8Array(), new Uint8Array())
const OPTIONS = { deadlineMs: 5_000 }
const names = (count: number): string[] =>
  Array.from({ length: count }, (_, at) => `key-${String(at).padStart(4, '0')}`)

async function keysOf(world: PagedWorld, change: { reverse?: boolean; limit?: number } = {}): Promise<string[]> {
  const { reverse = false, limit = Number.POSITIVE_INFINITY } = change
  const keys: string[] = []
  for await (const run of scanRuns(world, { range: ALL, reverse, keysOnly: false }, limit, OPTIONS)) {
    for (const { key } of run) keys.push(Buffer.from(key).toString())
  }
  return keys
}

describe('a scan', () => {
  test('merges the shards in order, both ways, up to the limit', async () => {
    const world = new PagedWorld({ shards: 3, keys: names(500), perPage: 7 })
    expect(await keysOf(world)).toEqual(names(500))
    expect(await keysOf(world, { reverse: true })).toEqual(names(500).reverse())
    expect(await keysOf(world, { limit: 11 })).toEqual(names(11))
    expect(await keysOf(new PagedWorld({ shards: 3, keys: [], perPage: 1 }))).toEqual([])
  })

  test('asks no shard for more than the limit, and for nothing ahead before the second page', async () => {
    const world = new PagedWorld({ shards: 3, keys: names(500), perPage: 50 })
    await keysOf(world, { limit: 5 })
    expect(world.asks.map(({ limit }) => limit)).toEqual([5, 5, 5])
  })

  test('whoever leaves leaves nothing behind: what is on its way is given up, and nothing more is asked', async () => {
    const world = new PagedWorld({ shards: 3, keys: names(500), perPage: 5 })
    for await (const run of scanRuns(
      world,
      { range: ALL, reverse: false, keysOnly: true },
      Number.POSITIVE_INFINITY,
      OPTIONS,
    )) {
      if (world.asks.length > 6) break
      expect(run.length).toBeGreaterThan(0)
    }
    await world.settled()
    expect(world.underWay).toBe(0)
    expect(world.listeners).toBe(0)
  })

  test('a failure ends it, and a scan that is asked again goes on from there', async () => {
    const world = new PagedWorld({ shards: 2, keys: names(20), perPage: 50 })
    world.fail = new UnavailableError('down', { outcome: 'not-applied' })
    await expect(keysOf(world)).rejects.toBe(world.fail)
    await world.settled()
    expect(world.underWay).toBe(0)
  })

  test('a map that never explains what the shards say ends with the deadline', async () => {
    const world = new PagedWorld({ shards: 2, keys: names(20), perPage: 50 })
    world.hideMoves = true
    world.move(3, 2)
    world.move(3, 1)
    world.move(900, 1)
    const scan = scanPage(world, { range: ALL, reverse: false, keysOnly: false }, 10, { deadlineMs: 60 })
    await expect(scan).rejects.toBeInstanceOf(DeadlineExceededError)
    expect(world.listeners).toBe(0)
  })

  test('pieces of it by cursor are the whole, whatever their size', async () => {
    const world = new PagedWorld({ shards: 3, keys: names(100), perPage: 9 })
    for (const reverse of [false, true]) {
      const keys: string[] = []
      let range = ALL
      for (let more = true; more; ) {
        const { entries, cursor } = await scanPage(world, { range, reverse, keysOnly: false }, 13, OPTIONS)
        keys.push(...entries.map(({ key }) => Buffer.from(key).toString()))
        const last = entries.at(-1)
        more = cursor !== undefined && last !== undefined
        if (last) range = reverse ? { from: ALL.from, to: last.key } : { from: keyBehind(last.key), to: ALL.to }
      }
      expect(keys).toEqual(reverse ? names(100).reverse() : names(100))
    }
  })
})

/** What happens in the world between two pages. */
const event = fc.oneof(
  fc.record({ kind: fc.constant('move' as const), partition: fc.nat(1023), to: fc.integer({ min: 1, max: 4 }) }),
  fc.record({ kind: fc.constant('late' as const) }),
  fc.record({ kind: fc.constant('put' as const), key: fc.nat(199) }),
  fc.record({ kind: fc.constant('delete' as const), key: fc.nat(199) }),
  fc.record({ kind: fc.constant('nothing' as const) }),
)

describe('whatever moves while it runs', () => {
  const stable = names(200).map((name) => `${name}/stable`)
  const fleeting = names(200).map((name) => `${name}/fleeting`)
  const known = new Set([...stable, ...fleeting])
  const setting = fc.record({
    events: fc.array(event, { minLength: 20, maxLength: 300 }),
    perPage: fc.integer({ min: 1, max: 40 }),
    reverse: fc.boolean(),
  })

  test('every key that is there all the time is given once, in order, and no key twice', async () => {
    const property = fc.asyncProperty(setting, async ({ events, perPage, reverse }) => {
      const world = new PagedWorld({ shards: 3, spare: 1, keys: stable, perPage })
      world.play(events, fleeting)
      const keys = await keysOf(world, { reverse })
      expect(keys).toEqual([...keys].sort(reverse ? descending : ascending))
      expect(new Set(keys).size).toBe(keys.length)
      expect(keys.filter((key) => key.endsWith('/stable'))).toEqual(reverse ? [...stable].reverse() : stable)
      expect(keys.filter((key) => !known.has(key))).toEqual([])
      await world.settled()
      expect(world.listeners).toBe(0)
    })
    await fc.assert(property, { numRuns: 150 })
  })

  test('and counted once', async () => {
    const property = fc.asyncProperty(setting, async ({ events, perPage }) => {
      const world = new PagedWorld({ shards: 3, spare: 1, keys: stable, perPage })
      world.play(
        events.filter(({ kind }) => kind === 'move' || kind === 'late'),
        [],
      )
      expect(await countRange(world, ALL, OPTIONS)).toBe(stable.length)
      expect(world.underWay).toBe(0)
    })
    await fc.assert(property, { numRuns: 100 })
  })
})

const ascending = (one: string, other: string): number => (one < other ? -1 : 1)
const descending = (one: string, other: string): number => ascending(other, one)
