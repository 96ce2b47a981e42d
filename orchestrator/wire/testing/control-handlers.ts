import { UnsupportedError } from '../../errors/index.js'
import type { ControlHandlers } from '../control.js'

/** Handlers of which a test needs only some. */
export function controlHandlers(some: Partial<ControlHandlers>): ControlHandlers {
  const refuse = () => {
    throw new UnsupportedError('not served here', { outcome: 'not-applied' })
  }
  const unserved = async () => refuse()
  return { status: unserved, scale: unserved, operations: unserved, watch: refuse, steer: unserved, ...some }
}
