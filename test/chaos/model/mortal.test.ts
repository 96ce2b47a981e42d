import { expect, test } from 'vitest'
import type { HistoryLine } from './format.js'
import { lateFaults, mortalFaults } from './mortal.js'

let ids = 0
const line = (call: number, end: number | null, rest: Partial<HistoryLine>): HistoryLine => ({
  ...{ id: ids++, client: 'c', key: 'k', op: 'get', outcome: 'ok' },
  ...{ call: call * 1000, return: end === null ? null : end * 1000 },
  ...rest,
})
const put = (call: number, end: number | null, rest: Partial<HistoryLine> = {}) =>
  line(call, end, { op: 'put', value: 'v;', ttlMs: 100, ...rest })
const gone = (call: number, end: number) => line(call, end, { got: null })

test.each<[string, number, HistoryLine[]]>([
  ['after its time', 0, [put(0, 5), gone(99, 101)]],
  ['before its time', 1, [put(0, 5), gone(10, 20)]],
  ['a read that began before the write had ended', 0, [put(0, 15), gone(10, 20)]],
  ['by a delete', 0, [put(0, 5), line(6, 7, { op: 'delete' }), gone(10, 20)]],
  ['perhaps by a delete', 0, [put(0, 5), line(6, null, { op: 'delete', outcome: 'unknown' }), gone(10, 20)]],
  ['a delete that was refused', 1, [put(0, 5), line(6, 7, { op: 'delete', outcome: 'not-applied' }), gone(10, 20)]],
  ['a delete of before', 1, [line(0, 1, { op: 'delete' }), put(2, 5), gone(10, 20)]],
  ['a delete at the same time', 0, [line(0, 3, { op: 'delete' }), put(2, 5), gone(10, 20)]],
  ['a put of which nobody knows', 0, [put(0, null, { outcome: 'unknown' }), gone(10, 20)]],
  [
    'what was touched for longer',
    1,
    [put(0, 5), line(50, 60, { op: 'touch', ttlMs: 100, existed: true }), gone(110, 120)],
  ],
  [
    'what was touched when it was gone',
    0,
    [put(0, 5), line(101, 102, { op: 'touch', existed: false }), gone(110, 120)],
  ],
  ['what was to stay', 1, [put(0, 5), line(6, 7, { op: 'put', value: 'w;' }), gone(900, 901)]],
  ['what was appended to', 0, [put(0, 5), line(50, 60, { op: 'append', value: 'w;' }), gone(110, 120)]],
  ['a key without times is not looked at', 0, [line(0, 5, { op: 'put', value: 'v;' }), gone(10, 20)]],
])('%s', (_, faults, lines) => {
  expect(mortalFaults(lines)).toHaveLength(faults)
})

const found = (call: number, end: number, got = 'v;') => line(call, end, { got })

test.each<[string, number, HistoryLine[]]>([
  ['in its time', 0, [put(0, 5), found(90, 95)]],
  ['a little later', 0, [put(0, 5), found(150, 155)]],
  ['much later', 1, [put(0, 5), found(160, 165)]],
  ['appended to, much later', 1, [put(0, 5), line(6, 7, { op: 'append', value: 'w;' }), found(160, 165, 'v;w;')]],
  ['touched in between', 0, [put(0, 5), line(90, 95, { op: 'touch', ttlMs: 100, existed: true }), found(200, 205)]],
  ['touched for ever', 0, [put(0, 5), line(90, null, { op: 'touch', outcome: 'unknown' }), found(900, 905)]],
  ['put by whom nobody knows of', 0, [put(0, null, { outcome: 'unknown' }), found(900, 905)]],
  ['another value', 0, [put(0, 5), line(6, 7, { op: 'put', value: 'w;' }), found(900, 905, 'w;')]],
  ['a bound of staleness', 0, [put(0, 5), line(160, 165, { got: 'v;', staleMs: 500 })]],
])('found %s', (_, faults, lines) => {
  expect(lateFaults(lines, 50)).toHaveLength(faults)
})
