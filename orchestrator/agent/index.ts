import { StartFault } from '../control/faults.js'
import { ListenError } from '../wire/listener.js'

export { runAgent } from './run.js'

/** Whether a person can do something about it: its message says what. */
export function isFault(error: unknown): error is Error {
  return error instanceof StartFault || error instanceof ListenError
}
