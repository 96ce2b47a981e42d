import {
  type Condition,
  type Step,
  TRANSACTION_BYTES_MAX,
  TRANSACTION_OPERATIONS_MAX,
  type TransactionOperation,
  transactionOf,
} from '../core/transaction.js'
import { TooLargeError } from '../errors/index.js'
import { json } from './answer.js'
import { inJson } from './batch.js'
import { bytesFrom } from './bytes.js'
import { noCondition, noIdempotencyKey } from './conditions.js'
import { AROUND_BYTES, ESCAPED_BYTES_MAX } from './keys.js'
import { LEASE_GONE, livesBy } from './lease-schemas.js'
import { type Route, route } from './route.js'
import {
  type ConditionJson,
  Transaction,
  TransactionAnswer,
  type TransactionJson,
  type TransactionOperationJson,
  WriteQuery,
} from './schemas.js'

/** The names and braces around each condition and operation. */
const AROUND_EACH_BYTES = 256

const transaction = route({
  id: 'transaction',
  method: 'POST',
  paths: ['/v1/txn'],
  summary: 'Operations on keys of one partition, at one moment, all of them or none.',
  query: WriteQuery,
  body: {
    schema: Transaction,
    bytesMax: () =>
      TRANSACTION_BYTES_MAX * ESCAPED_BYTES_MAX + TRANSACTION_OPERATIONS_MAX * AROUND_EACH_BYTES + AROUND_BYTES,
    guard: checkLength,
    lax: false,
  },
  asks: 'store',
  writes: true,
  answers: { 200: { description: 'Which branch ran, and what its operations came to.', schema: TransactionAnswer } },
  problems: { 404: LEASE_GONE, 409: 'An operation did not go together with what its key is: nothing was changed.' },
  handle: async ({ query, headers, body, signal, hold }, { operations }) => {
    noIdempotencyKey(headers)
    noCondition(headers)
    const asking = { timeoutMs: query.timeout_ms, signal, hold }
    const { succeeded, results } = await operations.run(operationOf(body), asking)
    return json(200, { succeeded, results: results.map(inJson) })
  },
})

export const TRANSACTION_ROUTES: readonly Route[] = [transaction]

/** Before each operation is looked at: there may be a hundred thousand of them. */
function checkLength(body: unknown): void {
  let parts = 0
  for (const list of Object.values((body ?? {}) as object)) parts += Array.isArray(list) ? list.length : 0
  if (parts <= TRANSACTION_OPERATIONS_MAX) return
  const message = `the transaction has ${parts} conditions and operations; the limit is ${TRANSACTION_OPERATIONS_MAX}`
  throw new TooLargeError(message, { outcome: 'not-applied' })
}

function operationOf({ if: conditions = [], then = [], else: otherwise = [] }: TransactionJson): TransactionOperation {
  return transactionOf({
    conditions: conditions.map(conditionOf),
    then: then.map(stepOf),
    otherwise: otherwise.map(stepOf),
  })
}

function conditionOf(one: ConditionJson): Condition {
  const { comparison } = one
  const key = bytesFrom(one.key, 'key')
  if ('version' in one) return { key, comparison, what: 'version', operand: BigInt(one.version) }
  if ('value' in one) return { key, comparison, what: 'value', operand: bytesFrom(one.value, 'value') }
  return { key, comparison, what: 'exists', operand: one.exists }
}

function stepOf(one: TransactionOperationJson): Step {
  const key = bytesFrom(one.key, 'key')
  switch (one.op) {
    case 'get':
      return { kind: 'get', key }
    case 'put':
      return {
        kind: 'put',
        key,
        value: bytesFrom(one.value, 'value'),
        ifVersion: versionOf(one.if_version),
        ...livesBy(one),
      }
    case 'delete':
      return { kind: 'delete', key, ifVersion: versionOf(one.if_version) }
    case 'append':
      return { kind: 'append', key, value: bytesFrom(one.value, 'value') }
    case 'increment':
      return { kind: 'increment', key, by: BigInt(one.by) }
  }
}

function versionOf(given: string | number | undefined): bigint | undefined {
  return given === undefined ? undefined : BigInt(given)
}
