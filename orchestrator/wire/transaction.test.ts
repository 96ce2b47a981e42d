import { expect, test } from 'vitest'
import { type Condition, type Step, type TransactionResult, transactionOf } from '../core/transaction.js'
import { CrossShardError, KvError } from '../errors/index.js'
import { outlineOf } from './batch-outline.js'
import { operationFromWire, operationToWire, resultFromWire, resultToWire } from './convert.js'
import { errorFromWire, errorToWire } from './errors.js'
import { BatchRequest, Condition_Comparison, Operation, Result } from './gen/kvorum/v1/kv.js'

const key = Uint8Array.from(Buffer.from('{a}k'))
const CONDITIONS: readonly Condition[] = [
  { key, what: 'version', comparison: '==', operand: 0n },
  { key, what: 'version', comparison: '<', operand: 3n },
  { key, what: 'version', comparison: '>', operand: 3n },
  { key, what: 'value', comparison: '!=', operand: new Uint8Array() },
  { key, what: 'exists', comparison: '==', operand: false },
]
const STEPS: readonly Step[] = [
  { kind: 'get', key },
  { kind: 'put', key, value: new Uint8Array(), ifVersion: 0n },
  { kind: 'delete', key },
  { kind: 'append', key, value: Uint8Array.of(1) },
  { kind: 'increment', key, by: -1n },
]
const TRANSACTION = transactionOf({ conditions: CONDITIONS, then: STEPS, otherwise: STEPS.slice(1) })

test('a transaction is the same on the other side', () => {
  const bytes = Operation.encode(operationToWire(TRANSACTION)).finish()
  expect(operationFromWire(Operation.decode(bytes))).toMatchObject({ ...TRANSACTION })
})

test('and what it came to', () => {
  const result: TransactionResult = {
    kind: 'transaction',
    succeeded: true,
    results: [
      { kind: 'get', found: true, value: Uint8Array.of(7), version: 2n, ttlMs: undefined },
      { kind: 'get', found: true, value: Uint8Array.of(8), version: 3n, ttlMs: 5 },
      { kind: 'put', version: 1n, previous: undefined },
      { kind: 'delete', existed: true, previous: undefined },
      { kind: 'append', version: 4n, length: 9 },
      { kind: 'increment', value: -1n, version: 1n },
    ],
  }
  const bytes = Result.encode(resultToWire(result)).finish()
  expect(resultFromWire(Result.decode(bytes), 'transaction')).toEqual(result)
})

test('what this version does not know is no transaction', () => {
  const unknown = { key, comparison: 9 as Condition_Comparison, operand: { $case: 'exists' as const, value: true } }
  const request = { conditions: [], then: [], otherwise: [] }
  for (const odd of [
    { ...request, conditions: [unknown] },
    { ...request, conditions: [{ ...unknown, comparison: Condition_Comparison.EQUAL, operand: undefined }] },
    { ...request, otherwise: [{ kind: undefined }] },
  ]) {
    expect(operationFromWire({ kind: { $case: 'transaction', value: odd } })).toBeUndefined()
  }
  const answer = resultFromWire(
    { kind: { $case: 'transaction', value: { succeeded: true, results: [{ kind: undefined }] } } },
    'transaction',
  )
  expect(answer).toMatchObject({ code: 'INTERNAL', outcome: 'unknown' })
})

test('its parts are counted before it is decoded, wherever it is in an operation', () => {
  const message = { id: 1n, epoch: 0n, timeoutMs: 0, sessions: [] }
  const operations = [operationToWire(TRANSACTION), operationToWire({ kind: 'get', key })]
  expect(outlineOf(BatchRequest.encode({ ...message, operations }).finish())).toMatchObject({
    operations: 2,
    parts: 14,
  })
  const [transaction, get] = operations.map((one) => Operation.encode(one).finish()) as [Uint8Array, Uint8Array]
  const hidden = Buffer.concat([get, transaction])
  const length = Buffer.from([0x22, (hidden.length % 128) + 128, hidden.length >> 7])
  expect(outlineOf(Buffer.concat([length, hidden]))).toMatchObject({ operations: 1, parts: 14 })
})

test('the operation that failed it travels with the error', () => {
  const error = new CrossShardError('no', { outcome: 'not-applied', operation: 3 })
  expect(errorFromWire(errorToWire(error), false)).toEqual(error)
  expect(new KvError('INTERNAL', 'no', { outcome: 'unknown' })).not.toHaveProperty('operation')
})
