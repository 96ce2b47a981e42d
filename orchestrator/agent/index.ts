import { StartFault, UsageFault } from '../control/faults.js'
import { ListenError } from '../wire/listener.js'

export { runAgent } from './run.js'

/** Whether a person can do something about it: its message says what. */
export function isFault(error: unknown): error is Error {
  return error instanceof StartFault || error instanceof ListenError
}

/** Whether it is what was asked for that is wrong: an address or a name that cannot be one. */
export function isUsage(error: unknown): boolean {
  return error instanceof UsageFault || (error instanceof ListenError && error.code === 'NOT_LOOPBACK')
}
