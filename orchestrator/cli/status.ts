import picocolors from 'picocolors'
import { Condition, type GroupReport, type NodeReport, type StatusResponse } from '../wire/control.js'
import { newestLeader } from '../wire/leading.js'
import { Role, State } from '../wire/node-admin.js'
import type { Connection, Context, Form } from './context.js'
import { EXIT } from './exit-codes.js'
import { textTable } from './text-table.js'
import { withControl } from './with-control.js'

/** Shows every node of the cluster. */
export async function status({ json }: Form, connection: Connection, { out, colours }: Context): Promise<number> {
  const view = viewOf(await withControl(connection, (client, deadline) => client.status(deadline)))
  out(json ? `${JSON.stringify(view, null, 2)}\n` : tableOf(view, colours))
  return EXIT.ok
}

interface NodeView {
  readonly id: string
  /** Its directory below the data directory. */
  readonly name: string
  readonly pid: number
  readonly address: string
  /** Where it runs, and what may be lost together with that; null: not known now. */
  readonly machine: string | null
  readonly zone: string | null
  readonly role: string
  /** Its own word while it answers, else what its supervisor knows: silent, down or held. */
  readonly state: string
  readonly applied: number
  /** Why it does not answer. */
  readonly reason?: string
  /** It is to lead nothing: a person wants it so, or the disk of its machine is slow. Absent: it may. */
  readonly drained?: true
  readonly slow?: true
}

interface GroupView {
  readonly id: number
  /** A node's id. */
  readonly leader: string | null
  readonly term: number
  /** How many the cluster map gives it. */
  readonly partitions: number
  readonly nodes: readonly NodeView[]
}

/** What `status --json` prints: stable, for programs. */
export interface StatusView {
  readonly epoch: number
  readonly shards: readonly GroupView[]
  readonly meta: GroupView | null
}

function viewOf({ epoch, groups }: StatusResponse): StatusView {
  const views = groups.map(groupView)
  return {
    epoch: Number(epoch),
    shards: views.filter(({ id }) => id !== 0),
    meta: views.find(({ id }) => id === 0) ?? null,
  }
}

function groupView({ shard, nodes, partitions }: GroupReport): GroupView {
  const newest = newestLeader(nodes.filter(({ condition }) => condition === Condition.UP))
  return {
    id: shard,
    leader: newest?.status?.nodeId ?? null,
    term: Math.max(0, ...nodes.map((node) => Number(termOf(node)))),
    partitions,
    nodes: nodes.map(nodeView),
  }
}

function termOf({ status: told }: NodeReport): bigint {
  return told?.term ?? 0n
}

function nodeView({ name, condition, reason, status: told, drained, slow, machine, zone }: NodeReport): NodeView {
  const answers = condition === Condition.UP
  return {
    id: told?.nodeId ?? '',
    name,
    pid: told?.pid ?? 0,
    address: told?.address ?? '',
    machine: machine === '' ? null : machine,
    zone: zone === '' ? null : zone,
    role: answers ? nameIn(Role, told?.role) : 'unknown',
    state: answers ? nameIn(State, told?.state) : nameIn(Condition, condition),
    applied: Number(told?.appliedIndex ?? 0n),
    ...(reason === '' ? {} : { reason }),
    ...(drained ? { drained: true as const } : {}),
    ...(slow ? { slow: true as const } : {}),
  }
}

/** "follower" for 1, by a generated enum. */
function nameIn(words: Readonly<Record<string, number>>, value: number | undefined): string {
  const found = Object.entries(words).find(([, number]) => number === value)
  return (found?.[0] ?? 'unknown').toLowerCase().replaceAll('_', '-')
}

function tableOf({ epoch, shards, meta }: StatusView, colours: boolean): string {
  const paint = picocolors.createColors(colours)
  const groups = [...shards, ...(meta === null ? [] : [meta])]
  const nodes = groups.flatMap((group) => group.nodes)
  // On one machine it would be the same word in every row.
  const spread = new Set(nodes.map(({ machine }) => machine)).size > 1
  const where = (node: NodeView) => (spread ? [node.machine ?? '?', node.zone ?? '?'] : [])
  const head = [
    'node',
    'id',
    'pid',
    'address',
    ...(spread ? ['machine', 'zone'] : []),
    'role',
    'state',
    'term',
    'applied',
  ]
  const rows = groups.map((group) =>
    group.nodes.map((node) => {
      const role = node.id === group.leader ? paint.green(node.role) : node.role
      const marks = [...(node.drained ? ['drained'] : []), ...(node.slow ? ['slow'] : [])]
      const words = [node.state, ...marks].join(', ')
      const state = node.reason === undefined ? words : paint.red(words)
      return [node.name, node.id, node.pid, node.address, ...where(node), role, state, group.term, node.applied]
    }),
  )
  const troubles = nodes
    .filter(({ reason }) => reason !== undefined)
    .map(({ name, reason }) => `${paint.red(name)}: ${reason}\n`)
  const shares = shards.map(({ id, partitions }) => `shard-${id} ${partitions}`).join(', ')
  return `${textTable(head, rows, colours)}\npartitions: ${shares}; map epoch ${epoch}\n${troubles.join('')}`
}
