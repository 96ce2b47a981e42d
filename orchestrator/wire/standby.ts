import { type Clock, systemClock } from '../core/clock.js'
import type { ClusterMap, NodeInfo } from '../core/topology.js'
import { Channel } from './channel.js'
import { clusterMapFromWire, clusterMapToWire } from './cluster-map.js'
import { type StandByRequest, StandbyService } from './gen/control/v1/standby.js'
import type { Service } from './listener.js'
import { serverStream } from './services.js'

/** How things are, as one orchestrator tells another. */
export interface Situation {
  readonly map: ClusterMap
  readonly meta: readonly NodeInfo[]
  /** Of the gateway of whoever holds the control lease, as far as is known; empty when nobody is. */
  readonly holder: string
  /** Who says this holds it, and does not end. */
  readonly holds: boolean
}

/** Who listens to it. */
export interface Bystander {
  readonly address: string
  /** Whether it could take over. */
  readonly eligible: boolean
}

export interface StandbyHandlers {
  /** The situation now and whenever it has changed, until `signal` is aborted because the other one has gone. */
  standBy(who: Bystander, signal: AbortSignal): AsyncIterable<Situation>
}

export function standbyService(handlers: StandbyHandlers): Service {
  return {
    definition: StandbyService,
    implementation: {
      standBy: serverStream(({ address, eligible }: StandByRequest, signal) =>
        situationsOnTheWire(handlers.standBy({ address, eligible }, signal)),
      ),
    },
  }
}

async function* situationsOnTheWire(situations: AsyncIterable<Situation>) {
  for await (const { map, meta, holder, holds } of situations) {
    yield { map: clusterMapToWire(map), meta: meta.map((node) => ({ ...node })), holder, holds }
  }
}

/** Listens to another orchestrator until `signal` is aborted. Throws when the connection breaks; ends when that one ends. */
export async function* standBy(
  address: string,
  who: Bystander,
  signal: AbortSignal,
  clock: Clock = systemClock,
): AsyncGenerator<Situation> {
  const channel = new Channel(address, clock, undefined, { pulse: PULSE })
  try {
    for await (const said of channel.stream(StandbyService.standBy, who, signal)) {
      const { meta, holder, holds } = said
      yield { map: clusterMapFromWire(said.map), meta, holder, holds }
    }
  } finally {
    channel.close()
  }
}

/** Nothing may come for hours: a peer that hangs is found by its silence. */
const PULSE = { everyMs: 1_000, patienceMs: 2_000 }
