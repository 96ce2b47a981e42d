import { expect, test } from 'vitest'
import type { z } from 'zod'
import { Batch, CompareAndSet, Increment, PutQuery, ScanQuery, Transaction, Value, WriteQuery } from './schemas.js'
import { wordsFor } from './wrong-input.js'

const BYTES = 'must be a text, or {"base64": "..."} with padding for bytes that are no UTF-8'
const INTEGER =
  'must be a whole number from -9223372036854775808 to 9223372036854775807; as a text, like "-5", where a JSON number is not exact (from 2^53 on)'

test.each<[z.ZodType, unknown, string]>([
  [Value, { value: 5 }, `value ${BYTES}, not the number 5 (in the body)`],
  [Value, { value: null }, `value ${BYTES}, not null (in the body)`],
  [Value, { value: { base64: 'a' } }, 'value.base64 must be base64, padded, not "a" (in the body)'],
  [Value, {}, `value is missing (in the body): it ${BYTES}`],
  [Value, { value: 'v', valeu: 'w' }, 'the body has nothing called "valeu"'],
  [Value, 'v', 'the body must be an object, not "v"'],
  [Value, [], 'the body must be an object, not an Array'],
  [CompareAndSet, { value: 'v' }, `expected is missing (in the body): it ${BYTES}`],
  [Increment, { by: 1.5 }, `by ${INTEGER}, not the number 1.5 (in the body)`],
  [Increment, { by: 2 ** 53 }, `by ${INTEGER}, not the number 9007199254740992 (in the body)`],
  [Increment, { by: '9223372036854775808' }, `by ${INTEGER}, not "9223372036854775808" (in the body)`],
  [Batch, {}, 'operations is missing (in the body): it must be a list'],
  [
    Batch,
    { operations: [{ op: 'put', key: 'k', value: 7 }] },
    `operations[0].value ${BYTES}, not the number 7 (in the body)`,
  ],
  [Batch, { operations: [{ op: 'set' }] }, 'operations[0].op must have a known "op", not "set" (in the body)'],
  [WriteQuery, { timeout_ms: '0' }, 'timeout_ms must be at least 1, not "0" (in the body)'],
  [WriteQuery, { timeout_ms: 'soon' }, 'timeout_ms must be a whole number of ms, not "soon" (in the body)'],
  [ScanQuery, { limit: 'x' }, 'limit must be a whole number from 1 to 10000, not "x" (in the body)'],
  [ScanQuery, { cursor: 'x' }, 'cursor must be a cursor, as an answer before had it, not "x" (in the body)'],
  [ScanQuery, { from: '\ufffd' }, 'from must be UTF-8, percent-encoded, without U+FFFD, not "\ufffd" (in the body)'],
  [PutQuery, { ttl_ms: '5s' }, 'ttl_ms must be a whole number of ms, not "5s" (in the body)'],
  [
    Transaction,
    { if: [{ key: 'k', comparison: '==', version: '012' }] },
    'if[0].version must be a version: a whole number from 0 on, as a text, like "12", where a JSON number is not exact (from 2^53 on), not "012" (in the body)',
  ],
  [
    Transaction,
    { if: [{ key: 'k', comparison: '<', value: 'v' }] },
    'if[0] must have a key that is not empty, a comparison ("==" or "!=") and a value (a text or {"base64": "..."}), and no more (in the body)',
  ],
  [
    Transaction,
    { else: [{ op: 'delete', key: 'k', if_version: -1 }] },
    'else[0].if_version must be a version: a whole number from 0 on, as a text, like "12", where a JSON number is not exact (from 2^53 on), not the number -1 (in the body)',
  ],
])('$# $1: $2', (schema, given, says) => {
  const result = schema.safeParse(given)
  expect(result.error?.issues.map((issue) => wordsFor(issue, given, 'the body'))).toEqual([says])
})

test.each([0, -(2 ** 53) + 1, '9223372036854775807', '-9223372036854775808', '1000000000000000000'])(
  'by %j is what an int64 can be',
  (by) => {
    expect(Increment.safeParse({ by }).success).toBe(true)
  },
)
