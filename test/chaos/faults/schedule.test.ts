import { describe, expect, test } from 'vitest'
import type { FaultKind, FaultPlan } from './fault.js'
import { KINDS, kindsNamed } from './kinds.js'
import { Random } from './random.js'
import { CALM_MS, drawRound, randomOf, readSchedule, writeSchedule } from './schedule.js'

const shape = { shards: 3, replicas: 3 }
const roundMs = 30_000

function draw(seed: number, kinds: readonly FaultKind[] = KINDS) {
  return drawRound({ kinds, shape, roundMs }, new Random(seed))
}

/** A fault that takes a copy of the data of one shard away, as damage to files does. */
const damage: FaultKind = {
  name: 'damage',
  about: '',
  takes: 'data',
  possible: () => true,
  draw: (_, random) => ({
    kind: 'damage',
    target: { of: 'node', shard: random.between(1, 3), index: 1 },
    forMs: 1_000,
    params: {},
  }),
  inject: () => Promise.reject(new Error('never')),
}

const overlap = (a: Drawn, b: Drawn): boolean => a.atMs <= b.atMs + b.plan.forMs && b.atMs <= a.atMs + a.plan.forMs
interface Drawn {
  readonly atMs: number
  readonly plan: FaultPlan
}

describe('a drawn round', () => {
  test('is the same for the same seed, and another for another', () => {
    expect(draw(7)).toEqual(draw(7))
    expect(draw(7)).not.toEqual(draw(8))
    const rounds = [0, 1, 2].map((round) => drawRound({ kinds: KINDS, shape, roundMs }, randomOf(7, round)))
    expect(rounds[1]).not.toEqual(rounds[0])
    expect(drawRound({ kinds: KINDS, shape, roundMs }, randomOf(7, 2))).toEqual(rounds[2])
  })

  test('begins calm, ends in time, and has at most two at once', () => {
    for (let seed = 0; seed < 300; seed++) {
      const drawn = draw(seed)
      expect(drawn.length).toBeGreaterThan(2)
      for (const one of drawn) {
        expect(one.atMs).toBeGreaterThanOrEqual(CALM_MS)
        expect(one.atMs + one.plan.forMs).toBeLessThan(roundMs)
        expect(drawn.filter((other) => overlap(one, other) && other.atMs <= one.atMs).length).toBeLessThanOrEqual(2)
      }
    }
  })

  test('composes faults, and leaves some alone', () => {
    const pairs = Array.from({ length: 100 }, (_, seed) => draw(seed)).flatMap((drawn) =>
      drawn.slice(1).map((one, at) => one.atMs - (drawn[at]?.atMs ?? 0) - (drawn[at]?.plan.forMs ?? 0)),
    )
    expect(pairs.filter((gap) => gap < 1_000).length).toBeGreaterThan(50)
    expect(pairs.filter((gap) => gap >= 2_500).length).toBeGreaterThan(50)
  })

  test('draws every kind, for shards and nodes that there are', () => {
    const kinds = new Set<string>()
    for (let seed = 0; seed < 200; seed++) {
      for (const { plan } of draw(seed)) {
        kinds.add(plan.kind)
        if ('shard' in plan.target) expect(plan.target.shard).toBeLessThanOrEqual(3)
        if (plan.target.of === 'node') expect(plan.target.index).toBeLessThanOrEqual(3)
      }
    }
    expect([...kinds].sort()).toEqual(KINDS.map(({ name }) => name).sort())
  })

  test('never takes two copies of a shard away at once, nor two orchestrators', () => {
    for (let seed = 0; seed < 300; seed++) {
      const drawn = draw(seed, [damage, ...kindsNamed(['kill', 'restart'])])
      for (const [at, one] of drawn.entries()) {
        for (const other of drawn.slice(0, at).filter((before) => before.atMs + before.plan.forMs >= one.atMs)) {
          const targets = [one.plan.target, other.plan.target]
          expect(
            targets.some(({ of }) => of === 'everything'),
            JSON.stringify(drawn),
          ).toBe(false)
          if (one.plan.kind !== 'damage' && other.plan.kind !== 'damage') continue
          expect(targets.every((target) => 'shard' in target)).toBe(true)
        }
      }
    }
  })
})

describe('a schedule', () => {
  const names = KINDS.map(({ name }) => name)
  const written = (target: object): string => {
    const plan = { kind: 'kill-leader', target, forMs: 0, params: {} }
    return JSON.stringify({ ...JSON.parse(writeSchedule(schedule)), rounds: [[{ atMs: 0, plan }]] })
  }
  const schedule = { seed: 7, shape, roundMs, rounds: [draw(1), draw(2)] }

  test('is written and read again', () => {
    expect(readSchedule(writeSchedule(schedule), names)).toMatchObject(schedule)
  })

  test.each([
    ['nothing', '', /^not a schedule: it is no JSON: [^\n]*$/],
    ['something else', '{"format":"other"}', /^not a schedule: format: .*\nnot a schedule: version: /],
    [
      'a later version',
      writeSchedule(schedule).replace('"version": 1', '"version": 2'),
      /^not a schedule: version: .*2?$/,
    ],
    ['no such target', written({ of: 'moon' }), /^not a schedule: rounds\[0\]\[0\]\.plan\.target(\.of)?: [^\n]*$/],
    [
      'a shard beyond',
      written({ of: 'leader', shard: 4 }),
      /^not a schedule: rounds\[0\]\[0\]\.plan\.target\.shard: 4, of 3$/,
    ],
    ['a node beyond', written({ of: 'node', shard: 1, index: 4 }), /target\.index: 4, of 3$/],
    [
      'no such kind',
      writeSchedule(schedule).replace(/"kind": "[^"]+"/, '"kind": "x"'),
      /kind: no fault is called "x"$/,
    ],
  ])('that is %s is refused in one line for each fault', (_, text, words) => {
    expect(() => readSchedule(text, names)).toThrow(words)
  })

  test('with many faults tells some of them', () => {
    expect(() => readSchedule(writeSchedule(schedule), [])).toThrow(
      /(not a schedule: rounds.*\n){10}not a schedule: and \d+ more$/,
    )
  })
})

test('kinds are named one by one or together', () => {
  expect(kindsNamed(['kill-leader']).map(({ name }) => name)).toEqual(['kill-leader'])
  expect(kindsNamed(['pause', 'transfer']).every(({ name }) => /^(pause|transfer)/.test(name))).toBe(true)
  expect(() => kindsNamed(['kil'])).toThrow(/no fault is called kil; there are .*kill-leader/)
})
