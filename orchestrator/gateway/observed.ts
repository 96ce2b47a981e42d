import { inspect } from 'node:util'
import type { Clock } from '../core/clock.js'
import { decodeText } from '../core/text.js'
import type { Telemetry } from '../telemetry/index.js'
import type { Done, GatewayContext, OperationStore } from './context.js'

const KEY_SHOWN_MAX = 64

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
        key: printable(operation.key),
        outcome: error?.code ?? 'ok',
        ms: clock.monotonic() - begin,
      })
      done(error, result)
    }
    store.submit(operation, deadlineMs, told, stamp)
  }
}

/** As text where it is text, quoted where it is not plain; a long key is cut. */
function printable(key: Uint8Array): string {
  const text = decodeText(key) ?? `0x${Buffer.from(key).toString('hex')}`
  const shown = text.length > KEY_SHOWN_MAX ? `${text.slice(0, KEY_SHOWN_MAX)}...` : text
  return /^[\x21-\x7e]+$/.test(shown) ? shown : inspect(shown)
}
