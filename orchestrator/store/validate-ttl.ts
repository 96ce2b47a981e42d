import { TTL_MS_MAX } from '../core/operation.js'
import { invalidArgument, type KvError } from '../errors/index.js'

/** What is wrong with a time to live, if anything. What is not looked at here could not be encoded, and would break its lane. */
export function faultOfTtl(ms: number | undefined): KvError | undefined {
  if (ms === undefined || (Number.isInteger(ms) && ms >= 1 && ms <= TTL_MS_MAX)) return undefined
  const message = `a time to live is a whole number of ms from 1 to ${TTL_MS_MAX} (10 years)`
  return invalidArgument(message)
}
