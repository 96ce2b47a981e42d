import { expect, test } from 'vitest'
import { DEFAULTS, KNOWN } from './inputs.js'
import { changesBorne, moveSeconds, reshardTimes } from './moves.js'

test('small records are held up by their number, large ones by their bytes', () => {
  const keys = DEFAULTS.keys / 1024
  expect(moveSeconds({ ...DEFAULTS, valueBytes: 0 })).toBeCloseTo(keys / KNOWN.moveRecords.value)
  const large = moveSeconds({ ...DEFAULTS, valueBytes: 10_000 })
  expect(large).toBeCloseTo((keys * 10_056) / (KNOWN.importRate.value * 1e6))
})

test('moves beside one another take no longer than one by one, and no less than the largest', () => {
  for (const [from, to] of [
    [3, 4],
    [250, 1000],
    [1000, 1001],
  ] as const) {
    const { oneByOne, perShard, largest, moves, partitions } = reshardTimes(DEFAULTS, from, to)
    expect(perShard).toBeLessThanOrEqual(oneByOne * (1 + 1e-9))
    expect(perShard).toBeGreaterThanOrEqual(moveSeconds(DEFAULTS, largest) * (1 - 1e-9))
    expect(oneByOne).toBeCloseTo(moveSeconds(DEFAULTS) * partitions)
    expect(moves).toBeLessThanOrEqual(partitions)
  }
})

test('the longer a move takes, the fewer changes it bears', () => {
  const one = changesBorne(DEFAULTS, 1)
  expect(one * moveSeconds(DEFAULTS) * (DEFAULTS.keyBytes + 64)).toBeCloseTo(64 * 2 ** 20)
  expect(changesBorne(DEFAULTS, 32)).toBeCloseTo(one / 32)
})
