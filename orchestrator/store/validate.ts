import type { Limits } from '../core/limits.js'
import { type Operation, valueBytesOf } from '../core/operation.js'
import { invalidArgument, type KvError, TooLargeError } from '../errors/index.js'
import { faultOfLease } from './validate-lease.js'
import { faultOfTransaction } from './validate-transaction.js'
import { faultOfTtl } from './validate-ttl.js'

/** What is wrong with an operation by the limits, if anything. */
export function faultOf(operation: Operation, limits: Limits): KvError | undefined {
  if (operation.kind === 'transaction') return faultOfTransaction(operation, limits)
  const key = operation.key.length
  if (key === 0) return invalidArgument('the key is empty')
  if (key > limits.keyBytesMax) return tooLarge('key', key, limits.keyBytesMax)
  const mortal = 'ttlMs' in operation ? faultOfTtl(operation.ttlMs) : undefined
  if (mortal !== undefined) return mortal
  if ('lease' in operation && operation.lease !== undefined) {
    const ttlMs = operation.kind === 'grant-lease' ? operation.ttlMs : undefined
    const unknown = faultOfLease(operation.lease, ttlMs)
    if (unknown !== undefined) return unknown
  }
  const value = valueBytesOf(operation)
  if (value <= limits.valueBytesMax) return undefined
  const what = operation.kind === 'compare-and-set' ? 'value and the expected one' : 'value'
  return tooLarge(what, value, limits.valueBytesMax)
}

function tooLarge(what: string, bytes: number, max: number): KvError {
  return new TooLargeError(`the ${what} has ${bytes} bytes; the limit is ${max}`, { outcome: 'not-applied' })
}
