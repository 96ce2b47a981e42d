import type { Limits } from '../core/limits.js'
import type { Operation } from '../core/operation.js'
import { InvalidArgumentError, type KvError, TooLargeError } from '../errors/index.js'

/** What is wrong with an operation by the limits, if anything. */
export function faultOf(operation: Operation, limits: Limits): KvError | undefined {
  const key = operation.key.length
  if (key === 0) return new InvalidArgumentError('the key is empty', { outcome: 'not-applied' })
  if (key > limits.keyBytesMax) return tooLarge('key', key, limits.keyBytesMax)
  if ((operation.kind !== 'put' && operation.kind !== 'append') || operation.value.length <= limits.valueBytesMax)
    return undefined
  return tooLarge('value', operation.value.length, limits.valueBytesMax)
}

function tooLarge(what: string, bytes: number, max: number): KvError {
  return new TooLargeError(`the ${what} has ${bytes} bytes; the limit is ${max}`, { outcome: 'not-applied' })
}
