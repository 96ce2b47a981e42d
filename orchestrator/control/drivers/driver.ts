import type { NodeInfo } from '../../core/topology.js'
import type { DataDirectory, NodePlace } from '../data-directory.js'
import { type Machine, THIS_MACHINE } from '../machines.js'

/** What a node is to be: the same in every start of it, but for the addresses. */
export interface NodeSpec extends NodePlace {
  /** For people: "shard-1/node-2". */
  readonly name: string
  readonly clusterId: string
  /** Whose process it is, and whose disk its data is on. */
  readonly machine: string
  /** Absolute; or, on another machine, below what only that machine knows: "shard-1/node-2". Empty: not ours to say. */
  readonly directory: string
  /** How many nodes run on its machine, itself included: they share what it has. */
  readonly ofNodes: number
}

/** How a process ended. Both undefined: it is gone, and nobody could see how. */
export interface Exit {
  readonly code?: number
  readonly signal?: string
  /** The last thing that it said, for people. */
  readonly lastWords?: string
  /** It has not ended, as far as is known, and goes on: why it could not be told to. */
  readonly left?: string
}

/** A node's process, started by this orchestrator or by one before it. */
export interface NodeProcess {
  readonly pid: number
  readonly adopted: boolean
  /** Resolves once, when the process is gone. Never rejects. */
  readonly exited: Promise<Exit>
  /** Why nobody can say now whether it runs; undefined when that is known. Nothing is decided about it then. */
  doubt?(): string | undefined
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
  /** The newest format of commands that it knows. */
  readonly formatMax: number
}

/**
 * How node processes come to be, and where: processes and directories may be on other machines, so nobody else looks at them.
 * Every implementation passes testing/driver-contract.ts.
 */
export interface Driver {
  /**
   * Whether an orchestrator on another machine can run the same nodes: whoever runs them is obeyed, and what the registry knows
   * of them is kept in meta as well.
   */
  readonly roams?: boolean
  /**
   * Whatever is asked of it from now on is asked by the holder of the control lease in this term. A driver whose processes
   * are not guarded by the registry's lock passes it on, so that a smaller term is refused where they run.
   */
  lead?(term: number): void
  /** The path of the driver's own node program, which is started unless another one is asked for. */
  readonly program: string
  /** Throws a StartFault when it could start nothing at all with this program. Default: the driver's own. */
  check(program?: string): void
  /** Another word for a program as soon as a byte of it is another; '' when it cannot be read. Default: the driver's own. */
  build(program?: string): Promise<string>
  /** What the program says of itself. Rejects with a StartFault when it is no node program, which says what it is `called`. */
  inspect(program: string, called?: string): Promise<ProgramInfo>
  /**
   * Where new nodes can be placed now, at least `wanted` of them if there are so many at all. Rejects with a StartFault when
   * some do not answer without which there are too few.
   */
  machines(wanted: number): Promise<readonly Machine[]>
  /** Whether the machine answers now: what is asked of one that does not is answered by nobody. Absent: all of them always do. */
  answers?(machine: string): boolean
  /** What may be lost together with this machine; undefined when it has not been heard. Default: each is by itself. */
  zoneOf?(machine: string): string | undefined
  /** As NodeSpec has it. Throws a StartFault when no machine of this driver can be called so. */
  directoryOf(place: NodePlace, machine: string, data: DataDirectory): string
  /** Throws a StartFault unless there is room for those of these nodes that have no data yet, as far as is known here. */
  expectRoom(places: readonly NodePlace[], data: DataDirectory): void
  /** Whether the node's directory is there. False only if that was seen: where nobody can look it counts as there. */
  holds(spec: NodeSpec): Promise<boolean>
  /** Removes the node's directory with what is in it; done when it is gone. Nobody may run on it. */
  remove(spec: NodeSpec): Promise<void>
  /** The process that runs on the node's directory already, if there is one. Starts nothing. */
  find(spec: NodeSpec, last: LastSeen): Promise<NodeProcess | undefined>
  /**
   * Starts the node so that it outlives this process, and makes its directory if it is absent. Two nodes never run on one
   * directory: the second ends with exit code 73. Rejects with a StartFault when the system does not let it start. `program`:
   * the driver's own by default.
   */
  spawn(spec: NodeSpec, address: string, peers: readonly NodeInfo[], program?: string): Promise<NodeProcess>
  /** An address of the machine that nobody listens on now, for this node, which has none or whose address is taken. */
  freeAddress(machine: string, place: NodePlace): Promise<string>
  /** Lets go of what it holds. The processes go on. */
  close(): Promise<void>
}

/** Whether what a node says of itself is the directory that it was meant to have. */
export function isAt(dataDir: string, { directory }: Pick<NodeSpec, 'directory'>): boolean {
  return directory === '' || dataDir === directory || (!directory.startsWith('/') && dataDir.endsWith(`/${directory}`))
}

/** Where its data is, for people. */
export function whereOf({ directory, machine }: Pick<NodeSpec, 'directory' | 'machine'>): string {
  return machine === THIS_MACHINE ? directory : `${directory} on ${machine}`.trim()
}
