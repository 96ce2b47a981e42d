// That a history which breaks a promise is found out, through the files and the program that a run uses.
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type HistoryLine, writeHistory } from '../model/format.js'
import { HotKey } from '../traffic/hot-keys.js'
import { HISTORY, judge } from './judge.js'
import type { Violation } from './result.js'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kvorum-judge-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

const HEADER = { seed: 1, round: 1, shards: 1, replicas: 3, versions: {} }

/** Calls one after the other, the first at 10 us; `key` says whether it is only appended to. */
function history(key: string, ...calls: readonly Partial<HistoryLine>[]): HistoryLine[] {
  return calls.map((call, at) => ({
    id: at,
    client: 'c',
    key,
    op: 'get',
    call: 10 * (at + 1),
    return: 10 * (at + 1) + 5,
    outcome: 'ok',
    ...call,
  }))
}

async function judged(lines: readonly HistoryLine[]): Promise<readonly Violation[]> {
  const keys = [new HotKey('register', 'register'), new HotKey('append', 'append')]
  await writeHistory(join(folder, HISTORY), HEADER, lines)
  const signal = new AbortController().signal
  return (await judge({ lines, keys, folder, perKeyMs: 5_000, signal })).violations
}

const put = (value: string): Partial<HistoryLine> => ({ op: 'put', value })
const append = (value: string, length: number): Partial<HistoryLine> => ({ op: 'append', value, length })
const transfer = (balances: readonly (number | null)[]): Partial<HistoryLine> => ({
  ...{ op: 'transfer', from: 0, to: 1, by: 5 },
  ...{ succeeded: true, balances },
})
const got = (value: string | null): Partial<HistoryLine> => ({ got: value })

test('what is right is no violation', async () => {
  const register = history('register', put('a;'), got('a;'), { op: 'delete', existed: true }, got(null))
  const bank = history('bank', transfer([-5, 5, null, null]), transfer([-10, 10, null, null]))
  expect(await judged([...register, ...history('append', append('b;', 2), got('b;')), ...bank])).toEqual([])
})

test.each([
  ['stale read', 'not linearizable', history('register', put('a;'), put('b;'), got('a;'))],
  ['lost put', 'not linearizable', history('register', put('a;'), got(null))],
  ['resurrected value', 'not linearizable', history('register', put('a;'), { op: 'delete' }, got('a;'))],
  [
    'version that goes back',
    'not linearizable',
    history('register', { ...put('a;'), version: 3 }, { ...got('a;'), version: 2 }),
  ],
  ['lost append', 'not exactly once', history('append', append('a;', 2), append('b;', 4), got('a;'))],
  ['doubled append', 'not exactly once', history('append', append('a;', 2), got('a;a;'))],
  ['refused put that is read', 'not true', history('register', { ...put('a;'), outcome: 'not-applied' }, got('a;'))],
  ['half of a transfer', 'not atomic', history('bank', transfer([-5, 5, null, null]), transfer([-10, 5, null, null]))],
  ['value of nobody', 'not true', history('register', got('z;'))],
] as const)('%s: %s', async (_, kind, lines) => {
  const violations = await judged(lines)
  expect(violations.map((violation) => violation.kind)).toContain(kind)
  // Every one of them breaks the order as well, and is drawn.
  expect(violations.map((violation) => violation.kind)).toContain('not linearizable')
  expect(existsSync(join(folder, `${lines[0]?.key}.html`))).toBe(true)
})

test('what cannot be checked fails, and is not taken for good', async () => {
  const signal = new AbortController().signal
  const given = { lines: [], keys: [], folder: join(folder, 'nowhere'), perKeyMs: 1_000, signal }
  await expect(judge(given)).rejects.toThrow(/no such file/)
})
