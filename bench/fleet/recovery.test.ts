import { describe, expect, test } from 'vitest'
import { DEFAULTS } from './inputs.js'
import { spreadsOf } from './loss.js'
import { replacementsFor, shardBytes } from './recovery.js'
import { rackOf } from './spread.js'

const fleet = { ...DEFAULTS, shards: 60, machines: 12, racks: 4 }
const [groups = []] = spreadsOf(fleet, 'racks', 1)

describe('replacements', () => {
  test('each replica of the machine, each with the bytes of its shard', () => {
    const { copies, bytes, stuck, homeless } = replacementsFor(fleet, groups, new Set([0]))
    const lost = [...groups.keys()].filter((group) => groups[group]?.includes(0))
    expect(copies).toHaveLength(lost.length)
    expect(bytes).toBeCloseTo(lost.reduce((sum, group) => sum + (shardBytes(fleet)[group] ?? 0), 0))
    expect([stuck, homeless]).toEqual([0, 0])
  })

  test('a rack with four of them: the three that stay take all', () => {
    const rack = new Set(groups.flat().filter((machine) => rackOf(machine, 4) === 0))
    const { copies, nodes, stuck, homeless } = replacementsFor(fleet, groups, rack)
    expect(copies).toHaveLength(nodes)
    expect([stuck, homeless]).toEqual([0, 0])
  })

  test('a rack of three: nobody is allowed to take them; without a majority nothing is copied', () => {
    const three = { ...fleet, racks: 3 }
    const [narrow = []] = spreadsOf(three, 'racks', 1)
    const rack = (...all: number[]) => new Set(narrow.flat().filter((machine) => all.includes(rackOf(machine, 3))))
    expect(replacementsFor(three, narrow, rack(0))).toMatchObject({ copies: [], homeless: 61, stuck: 0 })
    expect(replacementsFor(three, narrow, rack(0, 1))).toMatchObject({ copies: [], homeless: 0, stuck: 61 })
  })
})
