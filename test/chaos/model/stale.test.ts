import { describe, expect, test } from 'vitest'
import type { HistoryLine } from './format.js'
import { staleFaults } from './stale.js'

const MS = 1000

let ids = 0
function line(op: HistoryLine['op'], call: number, end: number | null, rest: Partial<HistoryLine>): HistoryLine {
  const times = { call: call * MS, return: end === null ? null : end * MS }
  return { id: ids++, client: 'c', key: 'k', op, ...times, outcome: 'ok', ...rest }
}

const put = (value: string, call: number, end: number, rest: Partial<HistoryLine> = {}): HistoryLine =>
  line('put', call, end, { value, ...rest })
/** At 100 to 101 ms. */
const stale = (got: string | null, staleMs: number, version?: number): HistoryLine =>
  line('get', 100, 101, { got, staleMs, ...(version === undefined ? {} : { version }) })

const a = put('a;', 1, 2, { version: 1 })
const b = put('b;', 50, 60, { version: 2 })
const gone = line('delete', 50, 60, { existed: true })

describe('a read with a bound', () => {
  test.each([
    ['of the newest', [a, b, stale('b;', 1, 2)]],
    ['of what was current when its bound began', [a, b, stale('a;', 40, 1)]],
    ['of what was overwritten within its bound', [a, b, stale('a;', 50, 1)]],
    ['of what is being written', [a, put('c;', 90, 200), stale('c;', 1)]],
    [
      'of what may never have been overwritten',
      [a, put('c;', 3, null as never, { outcome: 'unknown' }), stale('a;', 1)],
    ],
    ['of nothing, before anything was written', [stale(null, 1)]],
    ['of nothing, because it was deleted', [a, gone, stale(null, 1)]],
    ['of nothing, because it is being deleted', [a, line('delete', 99, null, { outcome: 'unknown' }), stale(null, 1)]],
    ['of what was deleted within its bound', [a, gone, stale('a;', 45, 1)]],
    ['of an append', [a, line('append', 50, 60, { value: 'c;' }), stale('a;c;', 1)]],
  ])('%s', (_, lines) => {
    expect(staleFaults(lines)).toEqual([])
  })

  test.each([
    ['of an older version than somebody knew', [a, b, stale('a;', 39, 1)], /version 1: .* version 2/],
    [
      'of what others had read over',
      [a, put('b;', 3, 4), line('get', 5, 6, { got: 'b;', version: 2 }), stale('a;', 9, 1)],
      /version 2/,
    ],
    [
      'of what was overwritten, without versions',
      [put('a;', 1, 2), put('b;', 3, 4), stale('a;', 9)],
      /put \d+ had come after/,
    ],
    ['of what was deleted', [a, gone, stale('a;', 9)], /delete \d+ had come after/],
    ['of the future', [a, put('c;', 102, 103), stale('c;', 50)], /not been written yet/],
    ['of nothing, though it is there', [a, stale(null, 9)], /found nothing: put \d+/],
    [
      'of nothing, though only a refused delete came',
      [a, line('delete', 5, 6, { outcome: 'not-applied' }), stale(null, 9)],
      /found nothing/,
    ],
    ['of nothing, though the delete came before', [line('delete', 0, 0.5, {}), a, stale(null, 9)], /found nothing/],
  ])('%s is too stale', (_, lines, fault) => {
    expect(staleFaults(lines)).toEqual([expect.stringMatching(fault)])
  })

  test('is held against its own key only, and says nothing of others without a bound', () => {
    expect(staleFaults([a, b, { ...stale('a;', 1, 1), key: 'other' }])).toEqual([])
    expect(staleFaults([a, b, line('get', 100, 101, { got: 'a;', version: 1 })])).toEqual([])
  })
})
