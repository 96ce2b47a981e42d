import { expect, test } from 'vitest'
import { OverloadedError } from '../errors/index.js'
import { outlineOf, sameForAll } from './batch-outline.js'
import { operationToWire } from './convert.js'
import { BatchRequest, BatchResponse } from './gen/kvorum/v1/kv.js'

const OPERATIONS = [
  operationToWire({ kind: 'get', key: Buffer.from('a') }),
  operationToWire({ kind: 'put', key: Buffer.from('b'), value: Buffer.alloc(300) }),
]

function encoded(id: bigint): Uint8Array {
  const sessions = [{ id: new Uint8Array(16), floor: 7n, shard: 3 }]
  return BatchRequest.encode({ id, epoch: 5n, timeoutMs: 1000, operations: OPERATIONS, sessions }).finish()
}

test.each([0n, 1n, 300n, 2n ** 53n + 1n, 2n ** 64n - 1n])('of a message with the id %d', (id) => {
  const bytes = encoded(id)
  expect(outlineOf(bytes)).toEqual({ id, operations: 2, sessions: 1, parts: 0, bytes: bytes.length })
})

test('bytes that are no message have none', () => {
  for (const junk of [[0xff], [0x22, 0x7f], new Array<number>(20).fill(0x80), [0x0f]]) {
    expect(outlineOf(Uint8Array.from(junk))).toBeUndefined()
  }
})

test('one error for all operations is what each of them would have been answered', () => {
  const error = new OverloadedError('full', { outcome: 'not-applied', retryAfterMs: 20 })
  const { id, results } = BatchResponse.decode(
    sameForAll({ id: 9n, operations: 3, sessions: 0, parts: 0, bytes: 0 }, error),
  )
  expect([id, results.length]).toEqual([9n, 3])
  for (const { kind } of results) expect(kind).toMatchObject({ value: { message: 'full', retryAfterMs: 20 } })
})
