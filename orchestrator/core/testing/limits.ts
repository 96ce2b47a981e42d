import { DEFAULT_LIMITS, type Limits } from '../limits.js'

/** The usual limits with some of them changed. */
export function limitsWith(changed: Partial<Limits>): Limits {
  return { ...DEFAULT_LIMITS, ...changed }
}
