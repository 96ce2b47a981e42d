import picocolors from 'picocolors'
import { type Clock, sleep, systemClock } from '../core/clock.js'
import { Condition, type GroupReport, type NodeReport, type StatusResponse } from '../wire/control.js'
import { Role } from '../wire/node-admin.js'
import type { Connection, Context, Form } from './context.js'
import { EXIT } from './exit-codes.js'
import { textTable } from './text-table.js'
import { withControl } from './with-control.js'

export interface TopTask {
  /** Prints one table, of one interval, and ends: for pipes. */
  readonly once: boolean
  readonly everyMs: number
}

/** What is known at one moment; `at` by the monotonic clock. */
export interface Sample {
  readonly at: number
  readonly status: StatusResponse
}

export interface ShardLoad {
  readonly shard: number
  readonly leader: string | null
  readonly partitions: number
  /** Nodes that answer, of all. */
  readonly up: number
  readonly nodes: readonly NodeLoad[]
  /** Entries that its log has committed a second: each holds the writes that came together. Null: not known yet. */
  readonly entriesPerSecond: number | null
}

export interface NodeLoad {
  readonly name: string
  readonly role: string
  readonly answers: boolean
  /** Entries of the log that it has not applied, of those that its shard has committed. */
  readonly behind: number
  readonly appliedPerSecond: number | null
  /** Of an append to the log, fsync included; null: it is below 5 ms, or nothing was appended. */
  readonly appendMs: number | null
}

/** To the left upper corner, and what stands below is gone. */
const ANEW = '\u001b[H\u001b[J'

/** Shows again and again who leads and how much each shard and node does. Ends with a signal or a failure, or after one table. */
export function top(
  { once, everyMs }: TopTask,
  { json }: Form,
  connection: Connection,
  context: Context,
  clock: Clock = systemClock,
): Promise<number> {
  return withControl(connection, async (client, deadline) => {
    const look = async (): Promise<Sample> => ({ status: await client.status(deadline), at: clock.monotonic() })
    let before = await look()
    for (;;) {
      await sleep(clock, everyMs, context.interrupted)
      const now = await look()
      const loads = loadsOf(before, now)
      if (json) context.out(`${JSON.stringify({ epoch: Number(now.status.epoch), shards: loads })}\n`)
      else context.out(`${context.redraws === true && !once ? ANEW : ''}${tableOf(loads, now.status, context.colours)}`)
      if (once) return EXIT.ok
      before = now
    }
  })
}

/** What was done between two looks, shard by shard; meta is shard 0. */
export function loadsOf(before: Sample, now: Sample): ShardLoad[] {
  const seconds = (now.at - before.at) / 1_000
  return now.status.groups.map((group) => {
    const old = before.status.groups.find(({ shard }) => shard === group.shard)
    const commit = commitOf(group)
    return {
      shard: group.shard,
      leader: leaderOf(group)?.name ?? null,
      partitions: group.partitions,
      up: group.nodes.filter(isUp).length,
      entriesPerSecond: old === undefined ? null : rate(commitOf(old), commit, seconds),
      nodes: group.nodes.map((node) => nodeLoad(node, old, commit, seconds)),
    }
  })
}

function nodeLoad(node: NodeReport, old: GroupReport | undefined, commit: bigint, seconds: number): NodeLoad {
  const { name, status } = node
  const before = old?.nodes.find((one) => one.name === name && isUp(one))
  const applied = status?.appliedIndex ?? 0n
  const known = isUp(node) && before !== undefined && before.status?.pid === status?.pid
  return {
    name,
    role: isUp(node) ? roleOf(status?.role) : 'unknown',
    answers: isUp(node),
    behind: commit > applied ? Number(commit - applied) : 0,
    appliedPerSecond: known ? rate(before.status?.appliedIndex ?? 0n, applied, seconds) : null,
    appendMs: status === undefined || status.appendUs === 0 ? null : status.appendUs / 1_000,
  }
}

function isUp({ condition }: NodeReport): boolean {
  return condition === Condition.UP
}

/** Of two that think they lead, the one with the newest term. */
function leaderOf({ nodes }: GroupReport): NodeReport | undefined {
  const leaders = nodes.filter((node) => isUp(node) && node.status?.role === Role.LEADER)
  return leaders.sort((a, b) => Number((b.status?.term ?? 0n) - (a.status?.term ?? 0n)))[0]
}

function commitOf({ nodes }: GroupReport): bigint {
  return nodes.reduce(
    (most, { status }) => (status !== undefined && status.commitIndex > most ? status.commitIndex : most),
    0n,
  )
}

function rate(before: bigint, now: bigint, seconds: number): number | null {
  if (seconds <= 0 || now < before) return null
  return Math.round((Number(now - before) / seconds) * 10) / 10
}

function roleOf(role: number | undefined): string {
  const found = Object.entries(Role).find(([, number]) => number === role)
  return (found?.[0] ?? 'unknown').toLowerCase()
}

function tableOf(loads: readonly ShardLoad[], { epoch }: StatusResponse, colours: boolean): string {
  const paint = picocolors.createColors(colours)
  const shards = loads.map(({ shard, leader, up, partitions, entriesPerSecond, nodes }) => {
    const name = shard === 0 ? 'meta' : `shard-${shard}`
    const there = `${up} of ${nodes.length}`
    return [
      name,
      leader ?? paint.red('none'),
      up === nodes.length ? there : paint.red(there),
      shard === 0 ? '' : partitions,
      entriesPerSecond ?? '',
    ]
  })
  const members = loads.map(({ leader, nodes }) =>
    nodes.map((node) => {
      const role = node.answers ? node.role : paint.red('does not answer')
      const mark = node.name === leader ? paint.green(role) : role
      return [node.name, mark, node.appliedPerSecond ?? '', node.behind, node.appendMs ?? '']
    }),
  )
  const tables = [
    textTable(['shard', 'leader', 'up', 'partitions', 'entries/s'], [shards], colours),
    textTable(['node', 'role', 'applied/s', 'behind', 'append ms'], members, colours),
  ]
  return `${tables.join('\n')}\nmap epoch ${epoch}; an entry of the log holds the writes that came together\n`
}
