import { describe, expect, test } from 'vitest'
import { systemClock } from '../../core/clock.js'
import type { LeaseOperation, LeaseResult } from '../../core/lease.js'
import { MapCell } from '../../core/map-source.js'
import type { Operation, Result } from '../../core/operation.js'
import { PARTITIONS } from '../../core/slot.js'
import { makeClusterMap } from '../../core/topology.js'
import {
  CancelledError,
  DeadlineExceededError,
  InvalidArgumentError,
  LeaseNotFoundError,
  UnavailableError,
  WrongShardError,
} from '../../errors/index.js'
import type { PageSource } from '../scan/pages.js'
import { grantLease, keepAlive, revokeLease } from './lease.js'

const ID = new Uint8Array(16).fill(7)
const OPTIONS = { deadlineMs: 5_000 }
const NOT_APPLIED = { outcome: 'not-applied' } as const

/** Shards that hold parts of one lease, and lose and get partitions. */
class PartWorld implements PageSource {
  readonly clock = systemClock
  readonly maps: MapCell
  readonly asks: LeaseOperation[] = []
  /** By partition. */
  readonly alive = new Set<number>()
  readonly ttlMs = 9_000
  /** What happens before an answer; what it returns is the answer. */
  before: (operation: LeaseOperation) => LeaseResult | Promise<LeaseResult> | undefined = () => undefined
  readonly #owners: number[]
  #epoch = 1n

  constructor(shards: number) {
    this.#owners = Array.from({ length: PARTITIONS }, (_, number) => 1 + (number % shards))
    this.maps = new MapCell(this.#map(), () => this.maps.publish(this.#map()))
  }

  move(partition: number, to: number): void {
    this.#owners[partition] = to
    this.#epoch++
  }

  async execute(operation: Operation, { signal }: { signal: AbortSignal }): Promise<Result> {
    await Promise.resolve()
    const asked = operation as LeaseOperation
    this.asks.push(asked)
    const early = await this.before(asked)
    if (early !== undefined) return early
    if (signal.aborted) throw new CancelledError('given up', NOT_APPLIED)
    const parts = numbersIn(asked.partitions)
    if (parts.some((number) => this.#owners[number] !== asked.shard)) {
      throw new WrongShardError('moved', { ...NOT_APPLIED, epoch: this.#epoch })
    }
    return this.#answer(asked, parts)
  }

  #answer(asked: LeaseOperation, parts: readonly number[]): LeaseResult {
    const some = parts.some((number) => this.alive.has(number))
    switch (asked.kind) {
      case 'grant-lease':
        for (const number of parts) this.alive.add(number)
        return { kind: 'grant-lease' }
      case 'keep-alive':
        if (!parts.every((number) => this.alive.has(number))) throw new LeaseNotFoundError('gone', NOT_APPLIED)
        return { kind: 'keep-alive', ttlMs: this.ttlMs }
      case 'revoke-lease':
        for (const number of parts) this.alive.delete(number)
        return { kind: 'revoke-lease', existed: some, more: false }
    }
  }

  #map() {
    const shards = [...new Set(this.#owners)].map((id) => ({ id, nodes: [{ id: `n${id}`, address: `h:${id}` }] }))
    return makeClusterMap({ clusterId: 'c', epoch: this.#epoch, owners: [...this.#owners], shards })
  }
}

function numbersIn(set: Uint8Array): number[] {
  return Array.from({ length: PARTITIONS }, (_, number) => number).filter(
    (number) => ((set[number >> 3] ?? 0) >> (number & 7)) % 2 === 1,
  )
}

describe('a lease over all shards', () => {
  test('is made in every partition, kept alive and ended there', async () => {
    const world = new PartWorld(3)
    await grantLease(world, ID, 9_000, OPTIONS)
    expect(world.alive.size).toBe(PARTITIONS)
    expect(world.asks.map(({ shard }) => shard)).toEqual([1, 2, 3])
    expect(await keepAlive(world, ID, OPTIONS)).toBe(9_000)
    expect(await revokeLease(world, ID, OPTIONS)).toBe(true)
    expect(world.alive.size).toBe(0)
    expect(await revokeLease(world, ID, OPTIONS)).toBe(false)
  })

  test('partitions that move meanwhile are met at their new owners, each of them', async () => {
    const world = new PartWorld(3)
    let moves = 0
    world.before = () => {
      if (moves++ < 40) world.move((moves * 37) % PARTITIONS, 1 + (moves % 3))
      return undefined
    }
    await grantLease(world, ID, 9_000, OPTIONS)
    expect(world.alive.size).toBe(PARTITIONS)
    moves = 0
    expect(await keepAlive(world, ID, OPTIONS)).toBe(9_000)
    moves = 0
    expect(await revokeLease(world, ID, OPTIONS)).toBe(true)
    expect(world.alive.size).toBe(0)
  })

  test('one part that is gone is the loss of all, at once, whoever else cannot be reached', async () => {
    const world = new PartWorld(3)
    await grantLease(world, ID, 9_000, OPTIONS)
    world.alive.delete(2)
    world.before = ({ shard }) => (shard === 1 ? Promise.reject(new UnavailableError('down', NOT_APPLIED)) : undefined)
    await expect(keepAlive(world, ID, OPTIONS)).rejects.toBeInstanceOf(LeaseNotFoundError)
  })

  test('a shard that fails keeps the others from nothing, and the outcome is honest', async () => {
    const world = new PartWorld(3)
    world.before = ({ shard }) => (shard === 1 ? Promise.reject(new UnavailableError('down', NOT_APPLIED)) : undefined)
    await expect(grantLease(world, ID, 9_000, OPTIONS)).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      outcome: 'unknown',
    })
    expect(world.alive.size).toBeGreaterThan(PARTITIONS / 2)
    world.before = () => Promise.reject(new UnavailableError('down', NOT_APPLIED))
    await expect(revokeLease(world, ID, OPTIONS)).rejects.toMatchObject({ outcome: 'not-applied' })
  })

  test('a long one is short until everybody has it: what a failed grant leaves is soon gone', async () => {
    const world = new PartWorld(3)
    const grants = () => world.asks.map((asked) => (asked.kind === 'grant-lease' ? asked.ttlMs : 0))
    world.before = ({ shard }) => (shard === 3 ? Promise.reject(new UnavailableError('down', NOT_APPLIED)) : undefined)
    await expect(grantLease(world, ID, 86_400_000, OPTIONS)).rejects.toMatchObject({ outcome: 'unknown' })
    expect(grants()).toEqual([60_000, 60_000, 60_000])
    let refused = 3
    world.before = () => (refused-- > 0 ? undefined : Promise.reject(new UnavailableError('down', NOT_APPLIED)))
    await expect(grantLease(world, ID, 86_400_000, OPTIONS)).rejects.toMatchObject({ outcome: 'unknown' })
    world.before = () => undefined
    world.asks.length = 0
    await grantLease(world, ID, 86_400_000, OPTIONS)
    expect(grants()).toEqual([60_000, 60_000, 60_000, 86_400_000, 86_400_000, 86_400_000])
  })

  test('is revoked until no keys are left', async () => {
    const world = new PartWorld(2)
    let left = 5
    world.before = ({ shard }) => {
      if (shard === 1 && left-- > 0) return { kind: 'revoke-lease', existed: left === 4, more: true }
      return undefined
    }
    expect(await revokeLease(world, ID, OPTIONS)).toBe(true)
    expect(world.asks.filter(({ shard }) => shard === 1)).toHaveLength(6)
  })

  test('what cannot be a lease is refused before anybody is asked', async () => {
    const world = new PartWorld(1)
    for (const ttlMs of [0, 999, 1_000.5, Number.NaN, 1e15]) {
      await expect(grantLease(world, ID, ttlMs, OPTIONS)).rejects.toBeInstanceOf(InvalidArgumentError)
    }
    for (const id of [new Uint8Array(15), new Uint8Array(16)]) {
      await expect(keepAlive(world, id, OPTIONS)).rejects.toBeInstanceOf(InvalidArgumentError)
    }
    expect(world.asks).toEqual([])
  })

  test('a keep-alive that took longer than the lease lives has kept nothing', async () => {
    const world = new PartWorld(1)
    world.before = () => ({ kind: 'keep-alive', ttlMs: 0 })
    await expect(keepAlive(world, ID, OPTIONS)).rejects.toBeInstanceOf(DeadlineExceededError)
  })

  test('its caller may give up', async () => {
    const world = new PartWorld(2)
    const signal = AbortSignal.abort(new Error('enough'))
    await expect(grantLease(world, ID, 9_000, { ...OPTIONS, signal })).rejects.toMatchObject({ code: 'CANCELLED' })
  })
})
