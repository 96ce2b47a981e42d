import { type Clock, sleep } from '../core/clock.js'
import type { Telemetry } from '../telemetry/index.js'
import type { Situation } from '../wire/standby.js'
import { StartFault } from './faults.js'
import type { PeerLinks } from './peers.js'

export interface JoinDeps {
  readonly peers: Pick<PeerLinks, 'standBy'>
  readonly clock: Clock
  readonly telemetry: Telemetry
  readonly startTimeoutMs: number
}

export interface FirstWord extends Situation {
  /** Who said it. */
  readonly from: string
}

/** Pause between two rounds through the endpoints of a cluster that is to be joined. */
const RETRY_MS = 200
/** How often it is told what is waited for, while nothing of it changes. */
const TELL_EVERY_MS = 5_000

/** How things are, from the first of the endpoints that says so. Tells at once, and now and then, whom it waits for and why. */
export async function firstWord(deps: JoinDeps, endpoints: readonly string[], asked: AbortSignal): Promise<FirstWord> {
  const { peers, clock, startTimeoutMs } = deps
  const late = new AbortController()
  const timer = clock.setTimeout(() => late.abort(), startTimeoutMs)
  const signal = AbortSignal.any([asked, late.signal])
  const troubles = new Map<string, string>()
  const tell = teller(deps)
  tell(`joining the cluster of ${endpoints.join(', ')}`)
  try {
    for (let turn = 0; !signal.aborted; turn++) {
      const from = endpoints[turn % endpoints.length] as string
      try {
        // It counts as nobody who stands by until it knows whether it can.
        const words = peers.standBy(from, { address: '', eligible: false }, signal)
        for await (const situation of words) if (situation.meta.length > 0) return { ...situation, from }
        if (!signal.aborted) troubles.set(from, 'it ends, or does not know the nodes yet')
      } catch (error) {
        if (!signal.aborted) troubles.set(from, error instanceof Error ? error.message : String(error))
      }
      if (troubles.size === endpoints.length) tell(`waiting for a cluster to join: ${inWords(troubles)}`)
      await sleep(clock, RETRY_MS, signal).catch(() => {})
    }
  } finally {
    timer.cancel()
  }
  asked.throwIfAborted()
  throw new StartFault(
    `no cluster could be joined within ${startTimeoutMs / 1_000} s. Asked: ${inWords(troubles) || endpoints.join(', ')}. ` +
      'Say --join with the gateway of a cluster that runs, or leave it out to start one here',
  )
}

/** Tells what is new, and what is not new from time to time. */
function teller({ clock, telemetry }: Pick<JoinDeps, 'clock' | 'telemetry'>): (doing: string) => void {
  const began = clock.monotonic()
  let [last, toldAt] = ['', began]
  return (doing) => {
    const now = clock.monotonic()
    if (doing === last && now - toldAt < TELL_EVERY_MS) return
    last = doing
    toldAt = now
    telemetry.emit('start.progress', { doing, seconds: (now - began) / 1_000 })
  }
}

function inWords(troubles: ReadonlyMap<string, string>): string {
  return [...troubles]
    .map(([address, trouble]) => (trouble.includes(address) ? trouble : `${address}: ${trouble}`))
    .join('; ')
}
