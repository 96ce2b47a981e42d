import { expect, test } from 'vitest'
import type { Result } from '../core/operation.js'
import { type KvError, UnavailableError } from '../errors/index.js'
import { encodeAnswer } from './batch-answer.js'
import { resultToWire } from './convert.js'
import { BatchResponse } from './gen/kvorum/v1/kv.js'

const VERSIONS = [0n, 1n, 127n, 128n, 2n ** 32n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n]
const LENGTHS = [0, 1, 86, 127, 128, 129, 16_383, 16_384, 1 << 21]

/** The message as the generated code sees it. */
function decoded(id: bigint, results: readonly (Result | KvError)[], positions: readonly number[]): BatchResponse {
  const wire = { id, results: results.map(resultToWire), positions: [...positions] }
  return BatchResponse.decode(BatchResponse.encode(wire).finish())
}

function check(id: bigint, results: readonly (Result | KvError)[], positions: readonly number[] = []): void {
  expect(BatchResponse.decode(Uint8Array.from(encodeAnswer(id, results, positions)))).toEqual(
    decoded(id, results, positions),
  )
}

test('is what the generated encoder writes, byte for byte', () => {
  const put: Result = { kind: 'put', version: 300n }
  const get: Result = { kind: 'get', found: true, value: Buffer.from('value'), version: 300n }
  for (const result of [put, get]) {
    const wire = { id: 7n, results: [resultToWire(result)], positions: [] }
    expect(Buffer.from(encodeAnswer(7n, [result], []))).toEqual(Buffer.from(BatchResponse.encode(wire).finish()))
  }
})

test('any version, any length', () => {
  for (const version of VERSIONS) {
    const empty: Result = { kind: 'get', found: false, value: Buffer.alloc(0), version }
    check(1n, [{ kind: 'put', version }, empty])
    for (const length of LENGTHS) {
      check(2n ** 64n - 1n, [{ kind: 'get', found: true, value: Buffer.alloc(length, 'x'), version }])
    }
  }
})

test('results of all kinds in their order, whole and in parts', () => {
  const results: (Result | KvError)[] = [
    { kind: 'get', found: true, value: Buffer.from('v'), version: 3n },
    { kind: 'delete', existed: true },
    new UnavailableError('nobody leads', { outcome: 'not-applied' }),
    { kind: 'put', version: 4n },
    { kind: 'append', version: 5n, length: 1000 },
    { kind: 'open-session', id: Buffer.alloc(16, 1) },
  ]
  check(0n, [])
  check(9n, results)
  check(9n, results, [0, 2, 5, 128, 300, 4095])
})
