// Everything that is told while the orchestrator runs, as data. Logs are projections of these (log.ts), and metrics
// will be: nothing else in the code prints.

export interface Events {
  /** The start has got as far as this. */
  'start.progress': { readonly doing: string; readonly seconds: number }
  /** The start took over processes that were running already. */
  'node.adopted': NodeEvent
  'node.started': NodeEvent
  /** A node's process ended although nobody asked it to. */
  'node.exited': {
    readonly node: string
    readonly pid: number
    /** "exit code 74 (...)", "killed by SIGKILL". */
    readonly how: string
    /** What happens next: "starting it again in 100 ms". */
    readonly next: string
  }
  /** It could not even be started. */
  'node.failed': { readonly node: string; readonly reason: string; readonly next: string }
  /** It will not be started again until a person has done something. */
  'node.held': { readonly node: string; readonly how: string; readonly advice: string }
  /** Its engine was damaged; it takes the data from a peer. */
  'node.seeding': { readonly node: string; readonly directory: string }
  'node.moved': { readonly node: string; readonly from: string; readonly to: string }
  /** Its process is ended and started again, as was ordered. */
  'node.restarting': { readonly node: string; readonly pid: number | undefined }
  /** It did not stop in time. */
  'node.killed': { readonly node: string; readonly pid: number; readonly afterMs: number }
  /** Something that must not be: another node answers, a member has lost its log. */
  'node.refused': { readonly node: string; readonly reason: string }
  /** What stands between the nodes (--fault-proxy) has ended although nobody asked it to. */
  'proxy.lost': { readonly reason: string }
  /** What is left of nodes that are no members any more could not be removed: it is when their machines answer. */
  'leftovers.stay': { readonly nodes: readonly string[]; readonly machines: string }
  /** The agent of a machine has been heard, for the first time or again. */
  'machine.answers': { readonly machine: string; readonly zone: string; readonly address: string }
  /** Its nodes may run on; nothing is decided about them. The machine is empty when the agent was never heard. */
  'machine.silent': { readonly machine: string; readonly address: string; readonly reason: string }
  /** It has been silent for so long that its nodes are replaced, as far as that is possible. */
  'machine.gone': { readonly machine: string; readonly silentMs: number; readonly nodes: number }
  /** A node is to be replaced by itself, and cannot be for this reason. */
  'replacement.waits': { readonly node: string; readonly reason: string }
  /** They have nodes, and no agent has said since the start that it is theirs. */
  'machines.absent': { readonly machines: readonly string[]; readonly nodes: readonly string[] }
  /** So many machines are silent that it is rather this orchestrator that is cut off. */
  'machines.unheard': { readonly machines: readonly string[]; readonly of: number }
  /** Replicas had to be placed so that one loss takes a majority with it. */
  'machines.few': { readonly risk: string }
  /** Nodes that run already were started with another program than they would be now. */
  'nodes.outdated': { readonly count: number; readonly program: string }
  /** Nodes are started with a program that was taken in, which is another than the orchestrator's own. */
  'program.kept': { readonly kept: string; readonly program: string }
  'shard.led': { readonly shard: string; readonly leader: string; readonly term: bigint }
  'shard.leaderless': { readonly shard: string }
  /** Its leadership is handed over: off a node that is drained, off a slow machine, or to spread leaders evenly. */
  'leader.moves': {
    readonly shard: string
    readonly from: string
    readonly to: string
    readonly why: 'drained' | 'slow' | 'uneven'
  }
  /** It was not, for this reason; it is tried again. */
  'leader.stays': { readonly shard: string; readonly from: string; readonly to: string; readonly reason: string }
  /** Its disk is much slower than those of the others: leaders are kept off it. */
  'machine.slow': { readonly machine: string }
  'machine.well': { readonly machine: string }
  /** What a person has asked for; durable. The nodes are names. */
  'nodes.drained': { readonly nodes: readonly string[] }
  'nodes.undrained': { readonly nodes: readonly string[] }
  'map.published': { readonly epoch: bigint }
  /** Meta could not be asked; the map that was published last goes on being used. */
  'map.stale': { readonly epoch: bigint; readonly reason: string }
  'operation.begun': { readonly id: string; readonly what: string }
  /** Partitions stay where they were for now; the move is tried again. */
  'move.failed': { readonly from: number; readonly to: number; readonly reason: string }
  /** It cannot go on now, and is tried again. */
  'operation.stumbled': { readonly reason: string }
  /** It has paused by itself: a person is needed. */
  'operation.stuck': { readonly reason: string }
  /** It goes on without this node. */
  'operation.skipped': { readonly node: string; readonly reason: string }
  'operation.ended': { readonly id: string; readonly how: string }
  /** This orchestrator holds the control lease. */
  'control.held': { readonly term: number }
  /** It does not any more: another one does. */
  'control.deposed': { readonly term: number }
  /** It stands by, or only routes, for this reason. */
  'control.follows': { readonly holder: string; readonly reason: string }
  /** It has taken over: the nodes are run by this orchestrator from now on. */
  'control.taken': { readonly term: number; readonly from: string }
  /** It is to take over and cannot yet, for this reason. */
  'control.waits': { readonly reason: string }
  /** Another one was let have the control lease; the nodes run on. */
  'control.handed': { readonly term: number }
  'stop.began': { readonly signal: string }
  'stop.forced': { readonly reason: string }
  /** One request, when requests are logged. */
  request: {
    readonly operation: string
    readonly key: string
    /** "ok", or the error's code. */
    readonly outcome: string
    readonly ms: number
  }
  /** A fault in Kvorum itself that was survived. */
  fault: { readonly where: string; readonly error: unknown }
}

interface NodeEvent {
  readonly node: string
  readonly pid: number
  readonly address: string
}

export type EventName = keyof Events

/** Takes events. Never throws and never waits. */
export interface Telemetry {
  emit<Name extends EventName>(name: Name, event: Events[Name]): void
  /** Whether anybody listens to an event: asked before making one that is costly or frequent. */
  enabled(name: EventName): boolean
}

/** Takes events and drops them. */
export const silent: Telemetry = { emit: () => {}, enabled: () => false }
