import { type Clock, systemClock } from '../core/clock.js'
import { InternalError } from '../errors/index.js'
import { Channel } from './channel.js'
import {
  Condition,
  ControlService,
  type DeletePrefixRequest,
  type DrainRequest as DrainOrder,
  type DrainResponse,
  type GroupReport,
  type KeysProgress,
  MoveState,
  type NodeReport,
  type Operation,
  OperationState,
  type OperationsRequest,
  type PlannedMove,
  type ReplaceNodeRequest,
  type ReplicasRequest,
  type RestartRequest,
  type ScaleRequest,
  type StatusRequest,
  type StatusResponse,
  Steer,
  type SteerOperationRequest,
  StepState,
  type UpgradeRequest,
  type WatchOperationRequest,
} from './gen/control/v1/control.js'
import { NodeStatus } from './gen/node/v1/node.js'
import type { Service } from './listener.js'
import { serverStream, unary } from './services.js'

export {
  Condition,
  type DrainOrder,
  type DrainResponse,
  type GroupReport,
  type KeysProgress,
  MoveState,
  type NodeReport,
  type Operation,
  OperationState,
  type PlannedMove,
  type StatusResponse,
  Steer,
  StepState,
}

/** What an orchestrator answers to people's tools. Handlers reject with a KvError. */
export interface ControlHandlers {
  status(): Promise<StatusResponse>
  scale(shards: number, dryRun: boolean): Promise<Operation>
  /** Every node when none is named. */
  restart(node: string): Promise<Operation>
  /** To the orchestrator's own program when none is named. */
  upgrade(program: string): Promise<Operation>
  replicas(replicas: number, dryRun: boolean): Promise<Operation>
  /** The node by its name or its id. */
  replaceNode(node: string): Promise<Operation>
  /** Has a node or a machine lead nothing, or lead again. Asked again, it says what is left to be moved. */
  drain(order: DrainOrder): Promise<DrainResponse>
  /** Every key that begins so; `all` for the empty prefix. */
  deletePrefix(prefix: Uint8Array, all: boolean): Promise<Operation>
  operations(): Promise<Operation[]>
  /** The operation now and whenever it has got further, until it has ended or `signal` is aborted. */
  watch(id: string, signal: AbortSignal): AsyncIterable<Operation>
  steer(id: string, steer: Steer): Promise<Operation>
}

export function controlService(handlers: ControlHandlers, clock: Clock = systemClock): Service {
  return {
    definition: ControlService,
    implementation: {
      status: unary((_: StatusRequest) => handlers.status(), 'read', clock),
      scale: unary(
        async ({ shards, dryRun }: ScaleRequest) => ({ operation: await handlers.scale(shards, dryRun) }),
        'write',
        clock,
      ),
      restart: unary(async ({ node }: RestartRequest) => ({ operation: await handlers.restart(node) }), 'write', clock),
      upgrade: unary(
        async ({ program }: UpgradeRequest) => ({ operation: await handlers.upgrade(program) }),
        'write',
        clock,
      ),
      replicas: unary(
        async ({ replicas, dryRun }: ReplicasRequest) => ({ operation: await handlers.replicas(replicas, dryRun) }),
        'write',
        clock,
      ),
      replaceNode: unary(
        async ({ node }: ReplaceNodeRequest) => ({ operation: await handlers.replaceNode(node) }),
        'write',
        clock,
      ),
      drain: unary((order: DrainOrder) => handlers.drain(order), 'write', clock),
      deletePrefix: unary(
        async ({ prefix, all }: DeletePrefixRequest) => ({ operation: await handlers.deletePrefix(prefix, all) }),
        'write',
        clock,
      ),
      operations: unary(async (_: OperationsRequest) => ({ operations: await handlers.operations() }), 'read', clock),
      watchOperation: serverStream(({ id }: WatchOperationRequest, signal) => answers(handlers.watch(id, signal))),
      steerOperation: unary(
        async ({ id, steer }: SteerOperationRequest) => ({ operation: await handlers.steer(id, steer) }),
        'write',
        clock,
      ),
    },
  }
}

async function* answers(operations: AsyncIterable<Operation>) {
  for await (const operation of operations) yield { operation }
}

interface Patience {
  readonly deadlineMs: number
}

/** Asks an orchestrator. Calls reject with a KvError, at the latest after their deadline. */
export class ControlClient {
  readonly #channel: Channel

  constructor(
    readonly address: string,
    clock: Clock = systemClock,
  ) {
    this.#channel = new Channel(address, clock)
  }

  status({ deadlineMs }: Patience): Promise<StatusResponse> {
    return this.#channel.unary(ControlService.status, {}, 'read', deadlineMs)
  }

  /** Begins to change the number of shards; with `dryRun` only says how that would be done. */
  async scale(shards: number, { deadlineMs, dryRun }: Patience & { readonly dryRun: boolean }): Promise<Operation> {
    const request = { shards, dryRun }
    const effect = dryRun ? 'read' : 'write'
    return present((await this.#channel.unary(ControlService.scale, request, effect, deadlineMs)).operation)
  }

  /** Begins to restart a node, or every node when none is named. */
  async restart(node: string, { deadlineMs }: Patience): Promise<Operation> {
    return present((await this.#channel.unary(ControlService.restart, { node }, 'write', deadlineMs)).operation)
  }

  /** Begins to replace the program of every node; by the orchestrator's own when none is named. */
  async upgrade(program: string, { deadlineMs }: Patience): Promise<Operation> {
    return present((await this.#channel.unary(ControlService.upgrade, { program }, 'write', deadlineMs)).operation)
  }

  /** Begins to change the number of nodes of each shard; with `dryRun` only says how that would be done. */
  async replicas(
    replicas: number,
    { deadlineMs, dryRun }: Patience & { readonly dryRun: boolean },
  ): Promise<Operation> {
    const request = { replicas, dryRun }
    const effect = dryRun ? 'read' : 'write'
    return present((await this.#channel.unary(ControlService.replicas, request, effect, deadlineMs)).operation)
  }

  /** Begins to put a new node in the place of this one, by its name or id. */
  async replaceNode(node: string, { deadlineMs }: Patience): Promise<Operation> {
    return present((await this.#channel.unary(ControlService.replaceNode, { node }, 'write', deadlineMs)).operation)
  }

  /** Has a node or a machine lead nothing, or lead again; with `dryRun` only says what would be moved. Asked again: what is left. */
  drain(order: DrainOrder, { deadlineMs }: Patience): Promise<DrainResponse> {
    return this.#channel.unary(ControlService.drain, order, order.dryRun ? 'read' : 'write', deadlineMs)
  }

  /** Begins to delete every key that begins so; `all` has to say that the empty prefix is meant. */
  async deletePrefix(
    prefix: Uint8Array,
    { deadlineMs, all }: Patience & { readonly all: boolean },
  ): Promise<Operation> {
    const request = { prefix, all }
    return present((await this.#channel.unary(ControlService.deletePrefix, request, 'write', deadlineMs)).operation)
  }

  async operations({ deadlineMs }: Patience): Promise<readonly Operation[]> {
    return (await this.#channel.unary(ControlService.operations, {}, 'read', deadlineMs)).operations
  }

  /** The operation now and whenever it has got further, until it has ended or `signal` is aborted. Throws when it breaks. */
  async *watch(id: string, signal: AbortSignal): AsyncGenerator<Operation> {
    const stream = this.#channel.stream(ControlService.watchOperation, { id }, signal)
    for await (const { operation } of stream) yield present(operation)
  }

  async steer(id: string, steer: Steer, { deadlineMs }: Patience): Promise<Operation> {
    return present(
      (await this.#channel.unary(ControlService.steerOperation, { id, steer }, 'write', deadlineMs)).operation,
    )
  }

  close(): void {
    this.#channel.close()
  }
}

function present(operation: Operation | undefined): Operation {
  if (operation === undefined) throw new InternalError('an answer without an operation', { outcome: 'unknown' })
  return operation
}

/** The status of a node of which nothing is known. */
export function emptyStatus(): NodeStatus {
  return NodeStatus.decode(new Uint8Array())
}
