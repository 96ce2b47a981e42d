import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { appendFaults } from './appends.js'
import { type HistoryLine, partsOf, writeHistory } from './format.js'
import { truthFaults } from './truth.js'

let ids = 0
function line(op: HistoryLine['op'], call: number, end: number | null, rest: Partial<HistoryLine>): HistoryLine {
  return { id: ids++, client: 'c', key: 'k', op, call, return: end, outcome: 'ok', ...rest }
}

const append = (value: string, call: number, end: number, rest: Partial<HistoryLine> = {}): HistoryLine =>
  line('append', call, end, { value, ...rest })
const get = (got: string | null, rest: Partial<HistoryLine> = {}): HistoryLine => line('get', 8, 9, { got, ...rest })

describe('appends happen once', () => {
  const a = append('a;', 1, 2, { length: 2 })
  const b = append('b;', 3, 4, { length: 4 })
  const doubt = append('x;', 3, 4, { outcome: 'unknown', return: null })
  const refused = append('r;', 3, 4, { outcome: 'not-applied' })

  test.each([
    ['one after the other', [a, b], 'a;b;'],
    ['none at all', [], null],
    ['in doubt: there', [a, doubt], 'a;x;'],
    ['in doubt: not there', [a, doubt], 'a;'],
    ['refused', [a, refused], 'a;'],
    ['read on the way', [a, get('a;'), get(null), b], 'a;b;'],
    ['concurrent in any order', [append('c;', 1, 9), append('d;', 2, 8)], 'd;c;'],
  ])('%s', (_, lines, last) => {
    expect(appendFaults(lines, last)).toEqual([])
  })

  test.each([
    ['lost', [a, b], 'a;', /b; was acknowledged and is lost/],
    ['all lost', [a], null, /a; was acknowledged and is lost/],
    ['twice', [a], 'a;a;', /a; is there 2 times/],
    ['in doubt: twice', [a, doubt], 'a;x;x;', /x; is there 2 times/],
    ['refused, and there', [a, refused], 'a;r;', /r; is there, and was reported as not applied/],
    ['never made', [a], 'a;z;', /z; was never appended/],
    ['at another place', [a, append('c;', 3, 4, { length: 6 })], 'a;c;', /ends at 4 and was reported to end at 6/],
    ['against real time', [append('c;', 1, 2), append('d;', 3, 4)], 'd;c;', /c; stands behind d;/],
    ['torn', [a], 'a;b', /ends in the middle/],
    ['a read of what is gone', [a, get('b;a;')], 'a;', /no beginning of the last value/],
  ])('%s', (_, lines, last, fault) => {
    expect(appendFaults(lines, last).join('\n')).toMatch(fault)
  })
})

describe('what clients are told is true', () => {
  const write = line('put', 1, 2, { value: 'a;' })

  test('reads of what was written', () => {
    const doubt = line('put', 3, null, { value: 'b;', outcome: 'unknown' })
    expect(truthFaults([write, doubt, get('a;'), get('b;'), get(null)])).toEqual([])
  })

  test.each([
    ['refused', [line('put', 1, 2, { value: 'a;', outcome: 'not-applied' }), get('a;')], /told that it is not applied/],
    ['refused by its version', [line('put', 1, 2, { value: 'a;', outcome: 'precondition' }), get('a;')], /not applied/],
    ['of nobody', [write, get('z;')], /nobody has written/],
    ["of another key's", [write, get('a;', { key: 'other' })], /was written to k/],
  ])('a read %s', (_, lines, fault) => {
    expect(truthFaults(lines).join('\n')).toMatch(fault)
  })
})

test('a history is a header and lines, as the checker reads them', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'kvorum-history-'))
  try {
    const path = join(folder, 'history.jsonl')
    const header = { seed: 7, round: 1, shards: 3, replicas: 3, versions: { kvorum: '0' } }
    await writeHistory(path, header, [append('a;', 1, 2), { fault: 'kill', call: 1, return: 2 }])
    const [head, first, second, rest] = readFileSync(path, 'utf8').split('\n')
    expect(JSON.parse(head ?? '')).toEqual({ format: 'kvorum-history', version: 4, ...header })
    expect(JSON.parse(first ?? '')).toMatchObject({ op: 'append', value: 'a;', call: 1, return: 2, outcome: 'ok' })
    expect(JSON.parse(second ?? '')).toEqual({ fault: 'kill', call: 1, return: 2 })
    expect(rest).toBe('')
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('a value is taken apart at its ends', () => {
  expect(partsOf('a;b;')).toEqual(['a;', 'b;'])
  expect(partsOf('a;b')).toEqual(['a;'])
  expect(partsOf('')).toEqual([])
})
