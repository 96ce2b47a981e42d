import type { NodeInfo } from '../../core/topology.js'
import type { Exit, NodeSpec } from '../drivers/driver.js'
import { FakeMembers } from './fake-members.js'
import { FakePartitions } from './fake-partitions.js'

/** A node's directory: it outlives the process. */
export interface Data {
  readonly id: string
  readonly spec: NodeSpec
  members: readonly NodeInfo[] | undefined
  lastLogIndex: bigint
}

export interface Running {
  readonly data: Data
  readonly pid: number
  readonly address: string
  /** The name of the program that was taken in; undefined: the driver's own. */
  readonly program: string | undefined
  readonly end: (exit: Exit) => void
  readonly exited: Promise<Exit>
  peers: readonly NodeInfo[]
  gone: boolean
  /** It answers, and has not opened its data yet. */
  opening: boolean
}

export interface Shard {
  term: bigint
  leader: Running | undefined
  ownershipEpoch: bigint
  /** Of its commands. */
  format: number
  readonly partitions: FakePartitions
  readonly members: FakeMembers
  readonly calls: string[]
}

export function newShard(answers: (id: string) => boolean): Shard {
  const members = new FakeMembers(answers)
  return {
    term: 0n,
    leader: undefined,
    ownershipEpoch: 0n,
    format: 1,
    partitions: new FakePartitions(),
    members,
    calls: [],
  }
}
