import { setMaxListeners } from 'node:events'
import type { Clock } from '../core/clock.js'
import type { Telemetry } from '../telemetry/index.js'
import type { Stop } from './cluster.js'

/** SIGHUP is a terminal that was closed: nobody would be left who could stop the nodes. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/**
 * One Ctrl-C may arrive twice, from the terminal and from npm. What comes this soon after the first signal is the same
 * wish; what comes later means: now.
 */
const SAME_WISH_MS = 1_000

/** Turns the process's signals into a Stop. From then on they do not end the process by themselves. */
export function stopOnSignals(source: NodeJS.EventEmitter, clock: Clock, telemetry: Telemetry): Stop {
  const asked = new AbortController()
  const forced = new AbortController()
  // Every node listens to them.
  setMaxListeners(0, asked.signal, forced.signal)
  let first: number | undefined
  const handle = (signal: string) => {
    if (first === undefined) {
      first = clock.monotonic()
      telemetry.emit('stop.began', { signal })
      asked.abort(new Error(`stopped by ${signal}`))
    } else if (clock.monotonic() - first > SAME_WISH_MS && !forced.signal.aborted) {
      telemetry.emit('stop.forced', { reason: `${signal} again` })
      forced.abort()
    }
  }
  for (const signal of SIGNALS) source.on(signal, handle)
  return { asked: asked.signal, forced: forced.signal }
}
