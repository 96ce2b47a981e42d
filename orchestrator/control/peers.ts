import { type Clock, systemClock } from '../core/clock.js'
import { ControlClient, type ControlHandlers } from '../wire/control.js'
import { type Bystander, type Situation, standBy } from '../wire/standby.js'

/** What one orchestrator asks of another. Whoever opens a link closes it. */
export type ControlLink = Pick<ControlClient, keyof ControlHandlers | 'close'>

/** How other orchestrators of the cluster are reached. */
export interface PeerLinks {
  /** Listens to one until `signal` is aborted; throws when it breaks, ends when that one ends. */
  readonly standBy: (address: string, who: Bystander, signal: AbortSignal) => AsyncIterable<Situation>
  readonly control: (address: string) => ControlLink
}

/** By gRPC. */
export function wirePeers(clock: Clock = systemClock): PeerLinks {
  return {
    standBy: (address, who, signal) => standBy(address, who, signal, clock),
    control: (address) => new ControlClient(address, clock),
  }
}
