import type { Limits } from '../core/limits.js'
import { partitionOf } from '../core/slot.js'
import { printableKey } from '../core/text.js'
import {
  type Condition,
  keysOf,
  partsOf,
  payloadOf,
  type Step,
  TRANSACTION_BYTES_MAX,
  TRANSACTION_OPERATIONS_MAX,
  type TransactionOperation,
} from '../core/transaction.js'
import { CrossShardError, invalidArgument, type KvError, TooLargeError } from '../errors/index.js'
import { faultOfLease } from './validate-lease.js'
import { faultOfTtl } from './validate-ttl.js'

/** What is wrong with a transaction by itself, if anything: each node would refuse the same. */
export function faultOfTransaction(operation: TransactionOperation, limits: Limits): KvError | undefined {
  const parts = partsOf(operation)
  if (parts === 0) return invalidArgument('the transaction has neither a condition nor an operation')
  if (parts > TRANSACTION_OPERATIONS_MAX) {
    return tooLarge(
      `the transaction has ${parts} conditions and operations; the limit is ${TRANSACTION_OPERATIONS_MAX}`,
    )
  }
  const bytes = payloadOf(operation)
  if (bytes > TRANSACTION_BYTES_MAX) {
    return tooLarge(`the transaction has ${bytes} bytes of keys and values; the limit is ${TRANSACTION_BYTES_MAX}`)
  }
  const steps = [...operation.then, ...operation.otherwise]
  return (
    firstFault(operation.conditions, faultOfCondition) ??
    firstFault(steps, faultOfStep) ??
    faultOfKeys(keysOf(operation), limits) ??
    faultOfValues(operation, limits)
  )
}

function firstFault<T>(list: readonly T[], faultOf: (one: T) => KvError | undefined): KvError | undefined {
  for (const one of list) {
    const fault = faultOf(one)
    if (fault !== undefined) return fault
  }
  return undefined
}

function faultOfCondition({ what, comparison }: Condition): KvError | undefined {
  if (what === 'version' || comparison === '==' || comparison === '!=') return undefined
  return invalidArgument('a condition on a value or on existence has == or !=')
}

function faultOfStep(step: Step): KvError | undefined {
  if (step.kind === 'get' && (step.staleMs ?? 0) > 0) {
    return invalidArgument('a get in a transaction is of its moment: a bound of staleness is for others')
  }
  if ((step.kind === 'put' || step.kind === 'delete') && step.returnPrevious === true) {
    return invalidArgument('a transaction gives no previous value: put a get before the operation')
  }
  if (step.kind !== 'put') return undefined
  return faultOfTtl(step.ttlMs) ?? (step.lease && faultOfLease(step.lease))
}

function faultOfKeys(keys: readonly Uint8Array[], { keyBytesMax }: Limits): KvError | undefined {
  const [first = new Uint8Array()] = keys
  for (const key of keys) {
    if (key.length === 0) return invalidArgument('the key is empty')
    if (key.length > keyBytesMax) return tooLarge(`the key has ${key.length} bytes; the limit is ${keyBytesMax}`)
    const [one, other] = [partitionOf(first), partitionOf(key)]
    if (one !== other) return crossShard(first, one, key, other)
  }
  return undefined
}

function faultOfValues({ conditions, then, otherwise }: TransactionOperation, limits: Limits): KvError | undefined {
  const operands = conditions.flatMap(({ operand }) => (operand instanceof Uint8Array ? [operand] : []))
  const values = [...then, ...otherwise].flatMap((step) => ('value' in step ? [step.value] : []))
  const long = [...operands, ...values].find(({ length }) => length > limits.valueBytesMax)
  return long && tooLarge(`the value has ${long.length} bytes; the limit is ${limits.valueBytesMax}`)
}

function crossShard(first: Uint8Array, one: number, key: Uint8Array, other: number): CrossShardError {
  const message =
    `the keys ${printableKey(first)} and ${printableKey(key)} of the transaction are in the partitions ${one} and ${other}: ` +
    'give all its keys the same hash tag, as in {user:1}name and {user:1}mail'
  return new CrossShardError(message, { outcome: 'not-applied' })
}

function tooLarge(message: string): TooLargeError {
  return new TooLargeError(message, { outcome: 'not-applied' })
}
