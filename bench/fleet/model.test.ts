import { describe, expect, test } from 'vitest'
import { DEFAULTS } from './inputs.js'
import { modelOf } from './model.js'
import { openSeconds } from './nodes.js'
import { bytes, duration, shownSection } from './section.js'

const small = { ...DEFAULTS, shards: 16, keys: 1e6, machines: 12, racks: 4, gateways: 2, clients: 10 }

describe('the model', () => {
  test('says the same of the same fleet, and something else of another', () => {
    const one = modelOf(small)
    expect(modelOf(small)).toEqual(one)
    expect(modelOf({ ...small, keys: 2e6 })).not.toEqual(one)
  })

  test('is tables whose rows fit their heads, without a figure that is none', () => {
    const bare = { ...small, replicas: 1, racks: 1, clients: 0 }
    for (const section of [...modelOf(small), ...modelOf(bare)]) {
      for (const row of section.rows) expect(row, section.title).toHaveLength(section.head.length)
      expect(shownSection(section), section.title).not.toMatch(/NaN|undefined|Infinity/)
    }
  })
})

test('opening takes as long as the slowest of cores, disk and one node', () => {
  const fleet = { ...DEFAULTS, cores: 10, diskMbS: 100 }
  expect(openSeconds(fleet, { openCpuS: 100, hintBytes: 1e8 }, 2)).toBe(10)
  expect(openSeconds(fleet, { openCpuS: 1, hintBytes: 1e9 }, 2)).toBe(10)
  expect(openSeconds(fleet, { openCpuS: 1, hintBytes: 1 }, 2)).toBe(2)
})

test('figures for people', () => {
  expect([bytes(999), bytes(1000), bytes(3_046_875_000)]).toEqual(['999 B', '1 kB', '3.05 GB'])
  expect([duration(0.0105), duration(90), duration(600), duration(36_000)]).toEqual([
    '10.5 ms',
    '90 s',
    '10 min',
    '10 h',
  ])
})
