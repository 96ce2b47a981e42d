import { type Clock, systemClock } from '../core/clock.js'
import { Channel } from './channel.js'
import {
  Condition,
  ControlService,
  type GroupReport,
  type NodeReport,
  type StatusRequest,
  type StatusResponse,
} from './gen/control/v1/control.js'
import { NodeStatus } from './gen/node/v1/node.js'
import type { Service } from './listener.js'
import { unary } from './services.js'

export { Condition, type GroupReport, type NodeReport, type StatusResponse }

/** What an orchestrator answers to people's tools. Handlers reject with a KvError. */
export interface ControlHandlers {
  status(): Promise<StatusResponse>
}

export function controlService(handlers: ControlHandlers, clock: Clock = systemClock): Service {
  return {
    definition: ControlService,
    implementation: { status: unary((_: StatusRequest) => handlers.status(), 'read', clock) },
  }
}

/** Asks an orchestrator. Calls reject with a KvError, at the latest after their deadline. */
export class ControlClient {
  readonly #channel: Channel

  constructor(address: string, clock: Clock = systemClock) {
    this.#channel = new Channel(address, clock)
  }

  status({ deadlineMs }: { readonly deadlineMs: number }): Promise<StatusResponse> {
    return this.#channel.unary(ControlService.status, {}, 'read', deadlineMs)
  }

  close(): void {
    this.#channel.close()
  }
}

/** The status of a node of which nothing is known. */
export function emptyStatus(): NodeStatus {
  return NodeStatus.decode(new Uint8Array())
}
