import type { NodeInfo } from '../../core/topology.js'
import type { NodePlace } from '../data-directory.js'

/** What a node is to be: the same in every start of it, but for the addresses. */
export interface NodeSpec extends NodePlace {
  /** For people: "shard-1/node-2". */
  readonly name: string
  readonly clusterId: string
  /** Absolute. It exists when `spawn` is called. */
  readonly directory: string
  /** How many nodes run beside it, itself included: they share what the machine has. */
  readonly ofNodes: number
}

/** How a process ended. Both undefined: it is gone, and nobody could see how. */
export interface Exit {
  readonly code?: number
  readonly signal?: string
  /** The last thing that it said, for people. */
  readonly lastWords?: string
}

/** A node's process, started by this orchestrator or by one before it. */
export interface NodeProcess {
  readonly pid: number
  readonly adopted: boolean
  /** Resolves once, when the process is gone. Never rejects. */
  readonly exited: Promise<Exit>
  /** Looks again whether it lives: somebody has a reason to doubt it. */
  check(): void
  signal(signal: 'SIGTERM' | 'SIGKILL'): void
  /** Nobody here cares any more: nothing is held for it, and `exited` may never resolve. The process goes on. */
  forget(): void
}

export interface LastSeen {
  readonly address: string
  readonly pid?: number
}

export interface ProgramInfo {
  readonly version: string
}

/** How node processes come to be. Every implementation passes testing/driver-contract.ts. */
export interface Driver {
  /** The path of the driver's own node program, which is started unless another one is asked for. */
  readonly program: string
  /** Throws a StartFault when it could start nothing at all with this program. Default: the driver's own. */
  check(program?: string): void
  /** Another word for a program as soon as a byte of it is another; '' when it cannot be read. Default: the driver's own. */
  build(program?: string): string
  /** What the program says of itself. Rejects with a StartFault when it is no node program. */
  inspect(program: string): Promise<ProgramInfo>
  /** The process that runs on the node's directory already, if there is one. Starts nothing. */
  find(spec: NodeSpec, last: LastSeen): Promise<NodeProcess | undefined>
  /**
   * Starts the node so that it outlives this process. Two nodes never run on one directory: the second ends with
   * exit code 73. Rejects with a StartFault when the system does not let it start. `program`: the driver's own by default.
   */
  spawn(spec: NodeSpec, address: string, peers: readonly NodeInfo[], program?: string): Promise<NodeProcess>
  /** An address that nobody listens on now, for a node that has none or whose address is taken. */
  freeAddress(): Promise<string>
}
