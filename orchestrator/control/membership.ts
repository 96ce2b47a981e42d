import type { NodePlace } from './data-directory.js'
import type { Shape } from './shape.js'

// Pure: which nodes a group has, as the registry has it. Raft decides who is a member; this is what was known of that last, and
// what is needed to find a change again that was under way.

export interface MemberRecord {
  readonly id: string
  readonly index: number
}

/** A node that is about to become a member. */
export interface Joiner {
  readonly index: number
  /** Once it has said so: from then on it must be that one. Written before it is added. */
  readonly id?: string
  /** Written before it is given its vote: from then on the group counts on its Raft log. */
  readonly mayVote?: boolean
}

export interface GroupRecord {
  readonly shard: number
  /** In the order of their indexes. Written before the first Bootstrap, so that every try is with the same. */
  readonly members: readonly MemberRecord[]
  /** Every member has been bootstrapped: one that waits for it from now on has lost its Raft log. */
  readonly bootstrapped: boolean
  /** The greatest index that any node of the group has ever had. A name is for one node, for ever. */
  readonly lastIndex: number
  readonly joining?: Joiner
  /** The index of a node that is no member any more, and of which something may be left. */
  readonly leaving?: number
}

/** What a registry has, of whatever version. Once members were as many ids as nodes, from index 1 on. */
export function readGroup(stored: unknown): GroupRecord {
  const record = stored as Omit<GroupRecord, 'members' | 'lastIndex'> & {
    readonly members: readonly (MemberRecord | string)[]
    readonly lastIndex?: number
  }
  const members = record.members.map((one, at) => (typeof one === 'string' ? { id: one, index: at + 1 } : one))
  return { ...record, members, lastIndex: record.lastIndex ?? members.length }
}

/** The first members of a group. */
export function firstMembers(shard: number, members: readonly MemberRecord[]): GroupRecord {
  return { shard, members, bootstrapped: false, lastIndex: Math.max(...members.map(({ index }) => index)) }
}

/**
 * The nodes of the groups from this one on, meta's first: those that are recorded, else those that a new group has. `left`:
 * nodes of an earlier group of that name whose directories may be there still. Their names are not used again.
 */
export function placesFrom(
  first: number,
  { shards, replicas }: Shape,
  groups: readonly GroupRecord[],
  left: readonly NodePlace[] = [],
): NodePlace[] {
  return Array.from({ length: Math.max(0, shards + 1 - first) }, (_, at) => {
    const shard = first + at
    const record = groups.find((one) => one.shard === shard)
    const above = Math.max(0, ...left.filter((one) => one.shard === shard).map(({ index }) => index))
    const indexes = record === undefined ? upTo(replicas).map((index) => above + index) : indexesOf(record)
    return indexes.map((index) => ({ shard, index }))
  }).flat()
}

function indexesOf({ members, joining }: GroupRecord): number[] {
  const indexes = members.map(({ index }) => index)
  return joining === undefined ? indexes : [...indexes, joining.index]
}

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, at) => at + 1)
}

/** The id that a node of the group must have, if it is known. */
export function idAt({ members, joining }: GroupRecord, index: number): string | undefined {
  return joining?.index === index ? joining.id : members.find((one) => one.index === index)?.id
}

/** Whether the node may have voted: without its log it must not come back. */
export function mayHaveVoted({ members, joining }: GroupRecord, index: number): boolean {
  return (joining?.index === index && joining.mayVote === true) || members.some((one) => one.index === index)
}

/** Whether the node was begun and has gone again: no other one is ever given its index. */
export function isSpent({ members, joining, lastIndex }: GroupRecord, index: number): boolean {
  return index > 0 && index <= lastIndex && joining?.index !== index && !members.some((one) => one.index === index)
}

/** A node is to be added; the same record if one is already. */
export function withJoiner(record: GroupRecord): GroupRecord {
  if (record.joining !== undefined) return record
  const index = record.lastIndex + 1
  return { ...record, lastIndex: index, joining: { index } }
}

/** What is known of the node that is being added. */
export function joinerWith(record: GroupRecord, change: Omit<Joiner, 'index'>): GroupRecord {
  return record.joining === undefined ? record : { ...record, joining: { ...record.joining, ...change } }
}

/** The node that was being added is a member. */
export function withJoined({ joining, ...record }: GroupRecord): GroupRecord {
  if (joining === undefined) return record
  const { index, id } = joining
  if (id === undefined) throw new TypeError(`node ${index} of shard ${record.shard} is to be a member and has no id`)
  return { ...record, members: [...record.members, { id, index }] }
}

/** A node is no member any more, or will not become one. */
export function withLeaver({ joining, ...record }: GroupRecord, index: number): GroupRecord {
  if (record.leaving !== undefined && record.leaving !== index) {
    throw new TypeError(`node ${record.leaving} of shard ${record.shard} has not gone yet`)
  }
  const members = record.members.filter((one) => one.index !== index)
  const still = joining === undefined || joining.index === index ? {} : { joining }
  return { ...record, ...still, members, leaving: index }
}

/** Nothing is left of the node that was leaving. */
export function withoutLeaver({ leaving: _, ...record }: GroupRecord): GroupRecord {
  return record
}
