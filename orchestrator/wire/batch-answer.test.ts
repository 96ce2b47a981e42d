import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { GetResult, Result } from '../core/operation.js'
import { CODES, type Code, type KvError, kvError } from '../errors/index.js'
import { encodeAnswer } from './batch-answer.js'
import { resultToWire } from './convert.js'
import { BatchResponse } from './gen/kvorum/v1/kv.js'

/** Where a varint grows by a byte, and where numbers are no longer exact. */
const EDGES = [...Array.from({ length: 9 }, (_, at) => 2n ** BigInt(7 * (at + 1))), 2n ** 53n, 2n ** 64n]
const number = fc.oneof(
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  fc.constantFrom(0n, ...EDGES.flatMap((edge) => [edge - 1n, edge % 2n ** 64n])),
)
const length = fc.oneof(fc.nat({ max: 300 }), fc.constantFrom(0, 86, 127, 128, 129, 16_383, 16_384, 1 << 21))
const value = fc.tuple(length, fc.nat({ max: 255 })).map(([bytes, fill]) => new Uint8Array(bytes).fill(fill))
const get: fc.Arbitrary<GetResult> = fc.record({
  kind: fc.constant('get' as const),
  found: fc.boolean(),
  value,
  version: number,
})
const error: fc.Arbitrary<KvError> = fc
  .record({ code: fc.constantFrom(...(Object.keys(CODES) as Code[])), message: fc.string(), version: number })
  .map(({ code, message, version }) => kvError(code, message, { outcome: 'not-applied', version }))
const other: fc.Arbitrary<Result | KvError> = fc.oneof(
  fc.record({ kind: fc.constant('put' as const), version: number }),
  fc.record({ kind: fc.constant('delete' as const), existed: fc.boolean() }),
  fc.record({ kind: fc.constant('append' as const), version: number, length: fc.maxSafeNat() }),
  fc.record({ kind: fc.constant('open-session' as const), id: fc.uint8Array({ minLength: 16, maxLength: 16 }) }),
  error,
)
const gets = fc.array(get, { maxLength: 5 })
const mixed = fc.array(fc.oneof(get, other), { maxLength: 20 })
const positions = fc.array(fc.integer({ min: 0, max: 2 ** 32 - 1 }))

/** What the generated encoder writes. */
function expected(id: bigint, results: readonly (Result | KvError)[], at: readonly number[]): Uint8Array {
  return BatchResponse.encode({ id, results: results.map(resultToWire), positions: [...at] }).finish()
}

test('a whole answer is byte for byte what the generated encoder writes', () => {
  fc.assert(
    fc.property(number, fc.oneof(gets, mixed), (id, results) => {
      expect(Buffer.compare(encodeAnswer(id, results, []), expected(id, results, []))).toBe(0)
    }),
  )
})

test('a part is read as what the generated encoder writes', () => {
  fc.assert(
    fc.property(number, fc.oneof(gets, mixed), positions, (id, results, at) => {
      const read = BatchResponse.decode(encodeAnswer(id, results, at))
      // Bytes that are equal again: comparing values element by element takes long.
      expect(Buffer.compare(BatchResponse.encode(read).finish(), expected(id, results, at))).toBe(0)
    }),
  )
})

test('an answer that is written is not changed by the next one', () => {
  const answers = Array.from({ length: 100 }, (_, at): Result[] => [
    { kind: 'get', found: true, value: Buffer.alloc(at, at), version: BigInt(at) },
  ])
  const written = answers.map((results, at) => encodeAnswer(BigInt(at), results, []))
  for (const [at, results] of answers.entries()) {
    expect(Buffer.compare(written[at] as Uint8Array, expected(BigInt(at), results, []))).toBe(0)
  }
})
