// Whether there is a server to be measured or checked at all: asked before anything else, so that its absence is one line
// and not a report of operations that failed.
import { NoServerError, reach } from '../orchestrator/cli/reach.js'

/** Why the server does not answer `read`, in one line; undefined when it does. */
export async function firstAnswer(address: string, read: () => Promise<unknown>): Promise<string | undefined> {
  try {
    await reach(address)
    await read()
    return undefined
  } catch (error) {
    const message = (error instanceof Error ? error.message : String(error)).replace(/\s*\n\s*/g, ' ')
    return error instanceof NoServerError ? message : `the server on ${address} does not answer a first get: ${message}`
  }
}
