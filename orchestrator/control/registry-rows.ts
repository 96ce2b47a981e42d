import { z } from 'zod'
import { UnsupportedError } from '../errors/index.js'
import { unseal } from './fence.js'
import type { GroupRecord } from './membership.js'
import type { Stored } from './meta-keys.js'
import type { MetaStore } from './meta-store.js'
import type { ClusterRecord, DrainedRecord, NodeRecord } from './registry.js'

// What of the registry another orchestrator needs that has another data directory: in meta, one row for the cluster and one per
// group, each JSON, checked when it is read. Pids are not among it, since whoever runs the processes knows them.

const id = z.string().min(1).max(64)
const index = z.int().min(1)

const clusterSchema = z.strictObject({
  format: z.literal(1),
  id,
  clusterId: z.string().min(1).max(64),
  shards: z.int().min(1),
  replicas: z.int().min(1),
  /** Who is to lead nothing: ids of nodes, names of machines. */
  drained: z.strictObject({ nodes: z.array(id), machines: z.array(z.string().min(1).max(64)) }),
  /** The greatest group that has ever had a row: written before that row, so that whoever stamps rows knows of every one. */
  last: z.int().min(0),
  /** Every group's row has been written. False only until all were for the first time. */
  whole: z.boolean(),
})

const groupSchema = z.strictObject({
  format: z.literal(1),
  id,
  shard: z.int().min(0),
  /** Absent until all its nodes have told their ids. */
  group: z
    .strictObject({
      members: z.array(z.strictObject({ id, index })),
      bootstrapped: z.boolean(),
      lastIndex: z.int().min(0),
      joining: z.strictObject({ index, id: id.optional(), mayVote: z.boolean().optional() }).optional(),
      leaving: index.optional(),
    })
    .optional(),
  /** None: of the group nothing is left. The row stays, so that no late write finds its key absent. */
  nodes: z.array(
    z.strictObject({
      index,
      machine: z.string().min(1).max(64).optional(),
      address: z.string().min(1).max(256),
      startedFor: z.string().max(128).optional(),
      left: z.boolean().optional(),
    }),
  ),
})

export type ClusterRow = z.output<typeof clusterSchema>
export type GroupRow = z.output<typeof groupSchema>
type Row = ClusterRow | GroupRow

/** What a row says; its id tells this content from every other that the row has had or will have. */
export type Content<R extends Row> = Omit<R, 'id'>

/** What a registry knows, but for what only means something on its own machine. */
export interface Known {
  readonly cluster: ClusterRecord
  readonly groups: readonly GroupRecord[]
  readonly nodes: readonly NodeRecord[]
  readonly drained: DrainedRecord
}

/** The rows as they were read; a group's is undefined when it was never written. */
export interface Rows {
  readonly cluster: ClusterRow | undefined
  readonly groups: readonly (GroupRow | undefined)[]
}

export const CLUSTER_ROW = 'registry'

export function groupRow(shard: number): string {
  return `${CLUSTER_ROW}/${shard}`
}

/** What meta is to say of them. `last`: the greatest group that has a row by now. */
export function contentsOf(known: Known, last: number) {
  const { clusterId, shards, replicas } = known.cluster
  const greatest = Math.max(last, shards, ...known.nodes.map(({ shard }) => shard))
  const { nodes, machines } = known.drained
  const drained = { nodes: [...nodes], machines: [...machines] }
  const cluster = { format: 1 as const, clusterId, shards, replicas, drained, last: greatest }
  const groups = Array.from({ length: greatest + 1 }, (_, shard) => contentOf(shard, known))
  return { cluster, groups }
}

function contentOf(shard: number, { groups, nodes }: Known): Content<GroupRow> {
  const { shard: _, ...group } = groups.find((one) => one.shard === shard) ?? { shard }
  const own = nodes.filter((one) => one.shard === shard).sort((a, b) => a.index - b.index)
  return {
    format: 1,
    shard,
    ...('members' in group ? { group: { ...group, members: [...group.members] } } : {}),
    nodes: own.map(({ index: at, machine, address, startedFor, left }) => ({
      index: at,
      machine,
      address,
      startedFor,
      left,
    })),
  }
}

/** What a registry is to know that goes by these rows. */
export function knownOf(cluster: ClusterRow, groups: readonly (GroupRow | undefined)[]): Known {
  const { clusterId, shards, replicas, drained } = cluster
  const rows = groups.filter((row) => row !== undefined)
  return {
    cluster: { format: 1, clusterId, shards, replicas },
    groups: rows.flatMap(({ shard, group }) => (group === undefined ? [] : [{ ...group, shard }])),
    nodes: rows.flatMap(({ shard, nodes }) => nodes.map((node) => ({ ...node, shard }))),
    drained,
  }
}

/** By key. */
export function idsOf({ cluster, groups }: Rows): Map<string, string> {
  const named = groups.flatMap((row, shard) => (row === undefined ? [] : [[groupRow(shard), row.id] as const]))
  return new Map([...(cluster === undefined ? [] : [[CLUSTER_ROW, cluster.id] as const]), ...named])
}

/** The rows of whoever has stamped them, or of now for whoever only looks. Throws UNSUPPORTED for another version's. */
export async function readRows(store: Pick<MetaStore, 'read'>, signal: AbortSignal): Promise<Rows> {
  const read = async (key: string) => unseal((await store.read(key, signal)).value).value
  const cluster = decodeClusterRow(await read(CLUSTER_ROW))
  if (cluster === undefined) return { cluster, groups: [] }
  const shards = Array.from({ length: cluster.last + 1 }, (_, shard) => shard)
  const groups = await Promise.all(shards.map(async (shard) => decodeGroupRow(shard, await read(groupRow(shard)))))
  return { cluster, groups }
}

export function encodeRow(row: Row): Uint8Array {
  // What could not be read again must not be written.
  const checked = 'shards' in row ? clusterSchema.parse(row) : groupSchema.parse(row)
  return Buffer.from(JSON.stringify(checked))
}

export function decodeClusterRow(value: Uint8Array | undefined): ClusterRow | undefined {
  return decoded(clusterSchema, CLUSTER_ROW, value)
}

export function decodeGroupRow(shard: number, value: Uint8Array | undefined): GroupRow | undefined {
  return decoded(groupSchema, groupRow(shard), value)
}

function decoded<Schema extends z.ZodType>(
  schema: Schema,
  key: string,
  value: Uint8Array | undefined,
): z.output<Schema> | undefined {
  if (value === undefined) return undefined
  const checked = schema.safeParse(JSON.parse(Buffer.from(value).toString()))
  if (checked.success) return checked.data
  const why = checked.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ')
  throw new UnsupportedError(`${key} in meta cannot be read by this version: ${why}`, { outcome: 'not-applied' })
}

/**
 * Passes over every row that a holder may write, each with `stamp`: the cluster's first, so that no further one can be named
 * when the groups' are gone through. Those are stamped also when they are absent: who named one may be about to write it.
 */
export async function stampRows(stamp: (key: string) => Promise<Stored>): Promise<void> {
  const { value } = await stamp(CLUSTER_ROW)
  if (value === undefined) return
  const { last } = JSON.parse(Buffer.from(value).toString()) as { last?: unknown }
  if (typeof last !== 'number') return
  await Promise.all(Array.from({ length: last + 1 }, (_, shard) => stamp(groupRow(shard))))
}
