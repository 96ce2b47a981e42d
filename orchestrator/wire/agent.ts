import type { MethodDefinition } from '@grpc/grpc-js'
import { type Clock, systemClock } from '../core/clock.js'
import { Channel, type Effect } from './channel.js'
import {
  AgentService,
  type Authority,
  type DescribeRequest,
  type DescribeResponse,
  type Exit,
  type FindRequest,
  type FreeAddressRequest,
  type HoldsRequest,
  type Place,
  type Process,
  type RemoveRequest,
  Signal,
  type SignalRequest,
  type SpawnRequest,
  type WatchRequest,
} from './gen/agent/v1/agent.js'
import type { Service } from './listener.js'
import { serverStream, unary } from './services.js'

export {
  type Authority,
  type DescribeResponse,
  type Exit,
  type FindRequest,
  type Place,
  type Process,
  Signal,
  type SignalRequest,
  type SpawnRequest,
  type WatchRequest,
}

/** What an agent does for an orchestrator. Handlers reject with a KvError (anything else becomes INTERNAL). */
export interface AgentHandlers {
  describe(): Promise<DescribeResponse>
  freeAddress(place: Place | undefined): Promise<string>
  /** The pid; 0 if nobody runs there. */
  find(request: FindRequest): Promise<number>
  /** The pid. */
  spawn(request: SpawnRequest): Promise<number>
  /** Undefined at once while the process runs, and its end when it has one; until `signal` is aborted. */
  watch(request: WatchRequest, signal: AbortSignal): AsyncIterable<Exit | undefined>
  signal(request: SignalRequest): Promise<void>
  holds(authority: Authority | undefined, place: Place | undefined): Promise<boolean>
  remove(authority: Authority | undefined, place: Place | undefined): Promise<void>
}

export function agentService(handlers: AgentHandlers, clock: Clock = systemClock): Service {
  const read = <Req, Res>(handler: (request: Req) => Promise<Res>) => unary(handler, 'read', clock)
  const write = <Req, Res>(handler: (request: Req) => Promise<Res>) => unary(handler, 'write', clock)
  const nothing = async (done: Promise<void>) => {
    await done
    return {}
  }
  return {
    definition: AgentService,
    implementation: {
      describe: read((_: DescribeRequest) => handlers.describe()),
      freeAddress: read(async ({ place }: FreeAddressRequest) => ({ address: await handlers.freeAddress(place) })),
      find: read(async (request: FindRequest) => ({ pid: await handlers.find(request) })),
      spawn: write(async (request: SpawnRequest) => ({ pid: await handlers.spawn(request) })),
      watch: serverStream((request: WatchRequest, signal) => answers(handlers.watch(request, signal))),
      signal: write((request: SignalRequest) => nothing(handlers.signal(request))),
      holds: read(async ({ authority, place }: HoldsRequest) => ({ holds: await handlers.holds(authority, place) })),
      remove: write(({ authority, place }: RemoveRequest) => nothing(handlers.remove(authority, place))),
    },
  }
}

async function* answers(exits: AsyncIterable<Exit | undefined>) {
  for await (const exit of exits) yield { exit }
}

const DEADLINE_MS = 3_000
/** Starting a process on a busy machine, and removing the data of a node, take longer. */
const LONG_DEADLINE_MS = 15_000

/** Asks one agent (agent.v1.Agent). Each call has a deadline and rejects with a KvError. */
export class AgentClient {
  readonly #channel: Channel

  constructor(
    readonly address: string,
    clock: Clock = systemClock,
  ) {
    this.#channel = new Channel(address, clock)
  }

  describe(deadlineMs: number): Promise<DescribeResponse> {
    return this.#call(AgentService.describe, {}, 'read', deadlineMs)
  }

  async freeAddress(place: Place): Promise<string> {
    return (await this.#call(AgentService.freeAddress, { place }, 'read')).address
  }

  async find(request: FindRequest): Promise<number> {
    return (await this.#call(AgentService.find, request, 'read')).pid
  }

  async spawn(request: SpawnRequest): Promise<number> {
    return (await this.#call(AgentService.spawn, request, 'write', LONG_DEADLINE_MS)).pid
  }

  /** Undefined once while the process runs, and its end when it has one. Throws when the connection breaks. */
  async *watch(request: WatchRequest, signal: AbortSignal): AsyncGenerator<Exit | undefined> {
    for await (const { exit } of this.#channel.stream(AgentService.watch, request, signal)) yield exit
  }

  async signal(request: SignalRequest): Promise<void> {
    await this.#call(AgentService.signal, request, 'write')
  }

  async holds(authority: Authority, place: Place): Promise<boolean> {
    return (await this.#call(AgentService.holds, { authority, place }, 'read')).holds
  }

  async remove(authority: Authority, place: Place): Promise<void> {
    await this.#call(AgentService.remove, { authority, place }, 'write', LONG_DEADLINE_MS)
  }

  close(): void {
    this.#channel.close()
  }

  #call<Req, Res>(
    method: MethodDefinition<Req, Res>,
    request: Req,
    effect: Effect,
    deadlineMs = DEADLINE_MS,
  ): Promise<Res> {
    return this.#channel.unary(method, request, effect, deadlineMs)
  }
}
