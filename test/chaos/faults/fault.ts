// What a fault is: a kind knows how to draw a plan and how to carry one out. A plan is data, so that a schedule can be
// written down and replayed; it names roles ("the leader of shard 2"), not processes, because those differ in a replay.
import type { ClusterMap } from '../../../orchestrator/core/topology.js'
import type { Cluster, ClusterOptions } from '../../harness/cluster.js'
import type { NodeView } from '../../harness/status.js'
import type { Random } from './random.js'

/** Whom a plan is for. A role is looked up when the fault begins. */
export type Target =
  /** `index` counts the nodes of a shard from 1, as their directories do. Shard 0 is meta. */
  | { readonly of: 'node'; readonly shard: number; readonly index: number }
  | { readonly of: 'leader'; readonly shard: number }
  /** Any one of them. */
  | { readonly of: 'follower'; readonly shard: number }
  | { readonly of: 'shard'; readonly shard: number }
  | { readonly of: 'orchestrator' }
  /** Every node of every shard, meta's too. */
  | { readonly of: 'nodes' }
  /** The nodes and the orchestrator. */
  | { readonly of: 'everything' }

export interface FaultPlan {
  readonly kind: string
  readonly target: Target
  /** How long it lasts, ms; 0 for one that is over as soon as it has happened (a kill). */
  readonly forMs: number
  readonly params: Readonly<Record<string, string | number | boolean>>
}

/** What faults see of a running cluster. */
export interface Scene {
  readonly cluster: Cluster
  /** As it was when the run began: which shards there are and which nodes (by id) they have. Addresses may change. */
  readonly map: ClusterMap
  /** Ids of the data shards, from 1. */
  readonly shards: readonly number[]
  readonly replicas: number
  /** Aborted when the run is to end at once: a fault that waits for something gives up. */
  readonly signal: AbortSignal
  /** The nodes of a data shard that answer now. Asks the nodes themselves: the gateway may be the one that is broken. */
  nodesOf(shard: number): Promise<NodeView[]>
  /** Waits until a data shard has a leader that serves; not for long. */
  leaderOf(shard: number): Promise<NodeView>
  /** The processes of a shard's nodes (0: meta's) by their data directories, also of those that do not answer. */
  processesOf(shard: number): NodeProcess[]
}

export interface NodeProcess {
  readonly pid: number
  /** As in "shard-1/node-2". */
  readonly name: string
}

/** A fault that has begun. */
export interface Healing {
  /** What was done to whom, in words for the report: "kill -9 of node-2, which led shard 1 (pid 4711)". */
  readonly what: string
  /** The ids of the data shards whose service may suffer; their time without service counts for this fault. */
  readonly shards: readonly number[]
  /** Resolves when it has ended by itself, before its time; then it is healed at once. Never rejects. */
  readonly ended?: Promise<void>
  /** Ends it. Called exactly once, also when the run is interrupted; must not fail because a process is gone already. */
  heal(): Promise<void>
}

/** What a kind needs to be there before the cluster is started: a proxy, a wrapper around the node program, a disk. */
export interface Preparation {
  /** Laid over the options of the cluster; `args` and `nodeFlags` of several kinds are put one after the other. */
  readonly cluster: ClusterOptions
  /** After the cluster is gone. */
  close(): Promise<void>
}

export interface FaultKind {
  /** As in `--faults kill,pause`: lower case, words joined by hyphens. */
  readonly name: string
  /** One line for people. */
  readonly about: string
  /**
   * `process`: may overlap with any other. `data`: it takes a copy of the data away for a while or for good, so no other fault
   * may touch the same shard until the cluster has settled, or a majority could be lost. A plan without a shard
   * overlaps with all of them.
   */
  readonly takes: 'process' | 'data'
  /** It may start the orchestrator again although that is not its target. */
  readonly restarts?: true
  /** Once, before the cluster starts; only for kinds that are part of the run. */
  prepare?(): Promise<Preparation>
  /** Whether it can be done on this machine (root, Linux) and to this cluster (replicas). Cheap; asked once per run. */
  possible(scene: Scene): boolean
  /** Everything by chance comes from `random`, and nothing depends on what happens at run time: a seed is a schedule. */
  draw(shape: Shape, random: Random): FaultPlan
  /** Resolves when the fault has begun. Rejects when it could not begin, with nothing left to heal. */
  inject(scene: Scene, plan: FaultPlan): Promise<Healing>
}

/** What a schedule is drawn for. */
export interface Shape {
  readonly shards: number
  readonly replicas: number
}

export interface ScheduledFault {
  /** After the beginning of the round. */
  readonly atMs: number
  readonly plan: FaultPlan
}
