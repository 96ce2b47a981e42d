import type { Limits } from '../core/limits.js'
import { type Operation, TTL_MS_MAX, valueBytesOf } from '../core/operation.js'
import { InvalidArgumentError, type KvError, TooLargeError } from '../errors/index.js'
import { faultOfTransaction } from './validate-transaction.js'

/** What is wrong with an operation by the limits, if anything. */
export function faultOf(operation: Operation, limits: Limits): KvError | undefined {
  if (operation.kind === 'transaction') return faultOfTransaction(operation, limits)
  const key = operation.key.length
  if (key === 0) return new InvalidArgumentError('the key is empty', { outcome: 'not-applied' })
  if (key > limits.keyBytesMax) return tooLarge('key', key, limits.keyBytesMax)
  if ('ttlMs' in operation && !livesFor(operation.ttlMs)) {
    const message = `a time to live is a whole number of ms from 1 to ${TTL_MS_MAX} (10 years)`
    return new InvalidArgumentError(message, { outcome: 'not-applied' })
  }
  const value = valueBytesOf(operation)
  if (value <= limits.valueBytesMax) return undefined
  const what = operation.kind === 'compare-and-set' ? 'value and the expected one' : 'value'
  return tooLarge(what, value, limits.valueBytesMax)
}

function livesFor(ms: number | undefined): boolean {
  return ms === undefined || (Number.isInteger(ms) && ms >= 1 && ms <= TTL_MS_MAX)
}

function tooLarge(what: string, bytes: number, max: number): KvError {
  return new TooLargeError(`the ${what} has ${bytes} bytes; the limit is ${max}`, { outcome: 'not-applied' })
}
