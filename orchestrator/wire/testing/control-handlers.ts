import { UnsupportedError } from '../../errors/index.js'
import type { ControlHandlers } from '../control.js'

/** Handlers of which a test needs only some. */
export function controlHandlers(some: Partial<ControlHandlers>): ControlHandlers {
  const refuse = () => {
    throw new UnsupportedError('not served here', { outcome: 'not-applied' })
  }
  const unserved = async () => refuse()
  const changes = { scale: unserved, restart: unserved, upgrade: unserved }
  return { status: unserved, ...changes, operations: unserved, watch: refuse, steer: unserved, ...some }
}
