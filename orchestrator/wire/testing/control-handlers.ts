import { UnsupportedError } from '../../errors/index.js'
import type { ControlHandlers } from '../control.js'

/** Handlers of which a test needs only some. */
export function controlHandlers(some: Partial<ControlHandlers>): ControlHandlers {
  const refuse = () => {
    throw new UnsupportedError('not served here', { outcome: 'not-applied' })
  }
  const unserved = async () => refuse()
  const starts = { scale: unserved, replicas: unserved, replaceNode: unserved, restart: unserved, upgrade: unserved }
  const acts = { drain: unserved, deletePrefix: unserved, operations: unserved, steer: unserved }
  return { status: unserved, ...starts, ...acts, watch: refuse, ...some }
}
