import { describe, expect, test } from 'vitest'
import type { TextClient } from '../harness/workload.js'
import { seeded } from './random.js'
import { runSanity, type Verb } from './suite.js'
import { isSane, renderReport } from './table.js'

/** A store in memory, with one flaw put in where a test wants it. */
function memoryStore(flaw: Partial<TextClient> = {}): TextClient & { readonly rows: Map<string, string> } {
  const rows = new Map<string, string>()
  return {
    rows,
    put: async (key, value) => rows.set(key, value),
    get: async (key) => rows.get(key) ?? null,
    delete: async (key) => rows.delete(key),
    ...flaw,
  }
}

const options = { populate: 300, iterations: 2000, seed: 7 }

describe('the suite', () => {
  test('is content with a store that works, and keeps to the mix', async () => {
    const store = memoryStore()
    const report = await runSanity(store, options)
    expect(isSane(report)).toBe(true)
    const count = (verb: Verb): number => report.rows.find((row) => row.verb === verb)?.latenciesMs.length ?? 0
    expect(count('populate')).toBe(300)
    const mixed = (['put', 'delete', 'get existing', 'get absent'] as const).map(count)
    expect(mixed.reduce((sum, one) => sum + one)).toBe(2000)
    for (const [index, share] of [0.15, 0.35, 0.4, 0.1].entries()) {
      expect(Math.abs((mixed[index] ?? 0) / 2000 - share)).toBeLessThan(0.04)
    }
    for (const [key, value] of store.rows) {
      expect(key).toMatch(/^[A-Z0-9]{30,50}$/)
      expect(value).toMatch(/^[A-Z0-9]{60,100}$/)
    }
  })

  test('finds a store that forgets', async () => {
    const report = await runSanity(memoryStore({ put: async () => undefined }), options)
    expect(isSane(report)).toBe(false)
    expect(report.faults[0]).toMatch(/gave null, the Map has/)
  })

  test('finds a store whose delete does nothing', async () => {
    const report = await runSanity(memoryStore({ delete: async () => undefined }), options)
    expect(isSane(report)).toBe(false)
    expect(report.faults[0]).toMatch(/the Map has null/)
  })

  test('counts errors, shows them, and gives up on a store that does not answer', async () => {
    const report = await runSanity(memoryStore({ get: () => Promise.reject(new Error('no leader')) }), options)
    expect(isSane(report)).toBe(false)
    expect(report.rows.reduce((sum, row) => sum + row.errors, 0)).toBe(3)
    expect(renderReport(report)).toMatch(/get \w+: no leader/)
  })
})

test('the same seed gives the same sequence', () => {
  const [one, two] = [seeded(3), seeded(3)]
  expect(one.text(30, 50)).toBe(two.text(30, 50))
  expect(seeded(4).text(30, 50)).not.toBe(seeded(3).text(30, 50))
})
