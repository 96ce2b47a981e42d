import { expect, test } from 'vitest'
import type { HistoryLine } from './format.js'
import { type Seen, watchFaults } from './watched.js'

const write = (id: number, version: number, value = `${id};`): HistoryLine => ({
  id,
  client: 'c',
  key: 'k',
  op: 'put',
  value,
  call: id,
  return: id + 1,
  outcome: 'ok',
  version,
})
const put = (version: number, value: string): Seen => ({ type: 'put', value, version })
const gone = (version: number): Seen => ({ type: 'delete', value: '', version })
const faults = (lines: readonly HistoryLine[], ...events: Seen[]) => watchFaults(lines, new Map([['k', events]]))

const lines = [write(1, 4), write(2, 5)]
const remove: HistoryLine = {
  id: 3,
  client: 'c',
  key: 'k',
  op: 'delete',
  call: 5,
  return: 6,
  outcome: 'ok',
  existed: true,
}

test('all of it, once, in order', () => {
  expect(faults([...lines, remove, write(4, 9)], put(4, '1;'), put(5, '2;'), gone(5), put(9, '4;'))).toEqual([])
})

test('a write of which nobody knows may be there', () => {
  const unknown: HistoryLine = { ...write(9, 6), version: undefined, outcome: 'unknown', return: null } as never
  expect(faults([...lines, unknown], put(4, '1;'), put(5, '2;'), put(6, '9;'))).toEqual([])
  expect(faults([...lines, unknown], put(4, '1;'), put(5, '2;'))).toEqual([])
})

test.each<[string, HistoryLine[], Seen[]]>([
  ['a gap', lines, [put(4, '1;')]],
  ['a gap in the middle', [write(1, 4), write(2, 6)], [put(4, '1;'), put(6, '2;')]],
  ['a double', lines, [put(4, '1;'), put(4, '1;'), put(5, '2;')]],
  ['another order', lines, [put(5, '2;'), put(4, '1;')]],
  ['another value', lines, [put(4, '1;'), put(5, '1;')]],
  ['a value that nobody wrote', lines, [put(4, '1;'), put(5, '2;'), put(6, '7;')]],
  [
    'a value that was refused',
    [...lines, { ...write(7, 6), outcome: 'not-applied' }],
    [put(4, '1;'), put(5, '2;'), put(6, '7;')],
  ],
  ['a delete of something else', lines, [put(4, '1;'), put(5, '2;'), gone(4)]],
  ['a delete that nobody saw', [...lines, remove], [put(4, '1;'), put(5, '2;')]],
])('%s is a fault', (_, history, events) => {
  expect(faults(history, ...events)).not.toEqual([])
})
