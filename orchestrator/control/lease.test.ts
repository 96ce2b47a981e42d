import { describe, expect, test } from 'vitest'
import { seededRng } from '../core/rng.js'
import { seal, unseal } from './fence.js'
import { LEASE_MS } from './lease-record.js'
import { type Contender, LeaseWorld } from './testing/lease-world.js'

/** After which whatever was lost has been sent again, and whoever is gone has been given up. */
async function calm(world: LeaseWorld, ms = 4 * LEASE_MS): Promise<void> {
  for (let past = 0; past < ms; past += 100) {
    await world.pass(100)
    await world.deliver(20, 0)
  }
}

function stateOf({ lease: { term, isHeld } }: Contender) {
  return { term, isHeld }
}

describe('one orchestrator', () => {
  test('takes the lease at once, and keeps it', async () => {
    const world = new LeaseWorld(seededRng(1))
    const one = world.add(1)
    await calm(world, LEASE_MS / 2)
    expect(stateOf(one)).toEqual({ term: 1, isHeld: true })
    await calm(world)
    expect(stateOf(one)).toEqual({ term: 1, isHeld: true })
    expect(world.effects.length).toBeGreaterThan(10)
    one.die()
  })

  test('without meta holds nothing any more, and goes on when it is back if nobody else came', async () => {
    const world = new LeaseWorld(seededRng(2))
    const one = world.add(1)
    await calm(world, LEASE_MS)
    await world.pass(LEASE_MS)
    expect(stateOf(one)).toEqual({ term: 1, isHeld: false })
    await calm(world)
    expect(stateOf(one)).toEqual({ term: 1, isHeld: true })
    one.die()
  })
})

describe('two orchestrators', () => {
  test('the second waits as long as the first renews, and takes over when that is dead', async () => {
    const world = new LeaseWorld(seededRng(3))
    const first = world.add(1)
    await calm(world, LEASE_MS)
    const second = world.add(1)
    await calm(world)
    expect(second.lease.term).toBeUndefined()
    first.die()
    await calm(world)
    expect(stateOf(second)).toEqual({ term: 2, isHeld: true })
    second.die()
  })

  test('one that was paused finds out that it is deposed, and nothing of it takes effect', async () => {
    const world = new LeaseWorld(seededRng(4))
    const [first, second] = [world.add(1), world.add(1)]
    await calm(world, LEASE_MS)
    const [holder, other] = first.lease.isHeld ? [first, second] : [second, first]
    holder.pause('machine')
    await calm(world)
    expect(stateOf(other)).toEqual({ term: 2, isHeld: true })
    const before = world.effects.length
    // It believes that no time has passed.
    expect(holder.lease.isHeld).toBe(true)
    holder.resume()
    await calm(world)
    expect(holder.lease.lost.aborted).toBe(true)
    expect(world.effects.slice(before).filter(({ term }) => term < 2)).toEqual([])
    for (const one of [first, second]) one.die()
  })

  test('a holder that ends hands over at once; one that nobody takes over from has it back', async () => {
    const world = new LeaseWorld(seededRng(5))
    const first = world.add(1)
    await calm(world, LEASE_MS)
    const never = new AbortController().signal
    const alone = first.lease.handOver(never)
    await calm(world)
    expect(await alone).toBe(false)
    first.die()
    const second = world.add(1)
    await calm(world)
    const third = world.add(1)
    await calm(world, 1_000)
    const handed = second.lease.handOver(never)
    await calm(world, LEASE_MS / 2)
    expect(await handed).toBe(true)
    expect(stateOf(third)).toEqual({ term: 3, isHeld: true })
    for (const one of [second, third]) one.die()
  })
})

/** Two or three of them live, stand still, die and are born, and messages arrive in any order, late or never. */
async function chance(seed: number, { machines, rates }: { machines: boolean; rates: number }) {
  const rng = seededRng(seed)
  const world = new LeaseWorld(rng)
  const rate = () => 1 - rates + 2 * rates * rng.float()
  for (let count = 2 + Math.floor(rng.float() * 2); count > 0; count--) world.add(rate())
  for (let step = 0; step < 250; step++) {
    const alive = world.contenders.filter(({ isDead }) => !isDead)
    const one = alive[Math.floor(rng.float() * alive.length)]
    const dice = rng.float()
    if (dice < 0.04) one?.pause(machines && rng.float() < 0.5 ? 'machine' : 'process')
    else if (dice < 0.12) one?.resume()
    else if (dice < 0.13) {
      one?.die()
      world.add(rate())
    }
    await world.pass(rng.float() * 400)
    await world.deliver(Math.floor(rng.float() * 12), 0.05)
    if (!machines) {
      const holders = world.contenders.filter(({ isDead, lease }) => !isDead && lease.isHeld)
      expect(holders.length, `holders at step ${step} of seed ${seed}`).toBeLessThanOrEqual(1)
    }
  }
  for (const one of world.contenders) one.resume()
  const { begins, effects } = world
  for (const { term, after } of begins) {
    const late = effects.slice(after).filter((effect) => effect.term < term)
    expect(late, `of smaller terms after ${term} had begun, with seed ${seed}`).toEqual([])
  }
  await calm(world)
  const living = world.contenders.filter(({ isDead }) => !isDead)
  // Whoever was deposed stands down for good here; one that never held it takes it.
  const some = living.filter(({ lease }) => !lease.lost.aborted)
  expect(living.filter(({ lease }) => lease.isHeld).length, `seed ${seed}`).toBe(Math.min(1, some.length))
  for (const one of world.contenders) one.die()
  return world
}

describe('whatever happens', () => {
  const seeds = Array.from({ length: 25 }, (_, at) => at + 1)

  test('nothing of an earlier holder takes effect once a later one has begun, also when clocks stand still', async () => {
    let terms = 0
    for (const seed of seeds) terms += (await chance(seed, { machines: true, rates: 0.5 })).begins.length
    // Else nothing was tested.
    expect(terms).toBeGreaterThan(2 * seeds.length)
  }, 120_000)

  test('there is never more than one holder where clocks run on, at speeds that differ by a tenth', async () => {
    let terms = 0
    for (const seed of seeds) terms += (await chance(1000 + seed, { machines: false, rates: 0.05 })).begins.length
    expect(terms).toBeGreaterThan(seeds.length)
  }, 120_000)
})

describe('the envelope', () => {
  test('has these bytes', () => {
    expect(Buffer.from(seal({ term: 258, value: Buffer.from('v') })).toString('hex')).toBe('0001000000000000010276')
    expect(Buffer.from(seal({ term: 1, value: undefined })).toString('hex')).toBe('00000000000000000001')
  })

  test('gives what was put in; what was written before there was a lease is of term 0', () => {
    for (const value of [undefined, Buffer.alloc(0), Buffer.from('{"format":1}')]) {
      expect(unseal(seal({ term: 7, value }))).toEqual({ term: 7, value })
    }
    const old = Buffer.from('{"format":1}')
    expect(unseal(old)).toEqual({ term: 0, value: old })
    expect(unseal(undefined)).toEqual({ term: 0, value: undefined })
  })

  test.each(['00', '0002000000000000000000', '0000000000000000000176'])('is refused when it is not one: %s', (hex) => {
    expect(() => unseal(Buffer.from(hex, 'hex'))).toThrow('another version')
  })
})
