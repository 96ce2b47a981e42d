import type { Clock } from '../core/clock.js'
import { printableKey } from '../core/text.js'
import type { Telemetry } from '../telemetry/index.js'
import type { Done, GatewayContext, OperationStore } from './context.js'

/**
 * Tells of each operation when it is answered: what `--log-requests` prints. Used only where somebody listens; a Store
 * without a watcher is used as it is, so that nobody pays for events that nobody reads.
 */
export function observed(store: OperationStore, clock: Clock, telemetry: Telemetry): GatewayContext['submit'] {
  return (operation, deadlineMs, done, stamp) => {
    const begin = clock.monotonic()
    const told: Done = (error, result) => {
      telemetry.emit('request', {
        operation: operation.kind,
        key: printableKey(operation.key),
        outcome: error?.code ?? 'ok',
        ms: clock.monotonic() - begin,
      })
      done(error, result)
    }
    store.submit(operation, deadlineMs, told, stamp)
  }
}
