// How the cluster and this process are.
import { UnavailableError } from '../errors/index.js'
import { Condition, type GroupReport, type NodeReport, type StatusResponse } from '../wire/control.js'
import { newestLeader } from '../wire/leading.js'
import { json } from './answer.js'
import { type Route, route } from './route.js'
import { Alive, ClusterStatus, type ClusterStatusJson, NoQuery, Ready } from './schemas.js'

const status = route({
  id: 'status',
  method: 'GET',
  paths: ['/v1/status', '/status'],
  summary: 'Every shard with its leader and its nodes, asked now.',
  query: NoQuery,
  asks: 'orchestrator',
  writes: false,
  answers: { 200: { description: 'The cluster.', schema: ClusterStatus } },
  handle: async (_, services) => json(200, statusOf(await services.status())),
})

const alive = route({
  id: 'healthz',
  method: 'GET',
  paths: ['/healthz'],
  summary: 'Whether the process serves: restart it when it does not.',
  query: NoQuery,
  asks: 'nothing',
  writes: false,
  answers: { 200: { description: 'It does.', schema: Alive } },
  handle: () => json(200, { alive: true }),
})

const ready = route({
  id: 'readyz',
  method: 'GET',
  paths: ['/readyz'],
  summary: 'Whether requests are to be sent here: not when it is about to stop, nor when no shard has a leader.',
  query: NoQuery,
  asks: 'orchestrator',
  writes: false,
  answers: { 200: { description: 'They are. A shard without a leader does not close the others.', schema: Ready } },
  handle: async (_, services) => {
    if (services.draining()) throw new UnavailableError('the gateway is about to stop', { outcome: 'not-applied' })
    const { shards } = statusOf(await services.status())
    const leaderless = shards.filter(({ leader }) => leader === null).map(({ id }) => id)
    if (leaderless.length < shards.length) return json(200, { ready: true, leaderless })
    throw new UnavailableError('no shard has a leader', { outcome: 'not-applied' })
  },
})

export const CLUSTER_ROUTES: readonly Route[] = [status, alive, ready]

function statusOf({ epoch, groups }: StatusResponse): ClusterStatusJson {
  const shards = groups.filter(({ shard }) => shard !== 0).map(shardOf)
  return { epoch: String(epoch), shards: shards.sort((a, b) => a.id - b.id) }
}

function shardOf({ shard, nodes }: GroupReport): ClusterStatusJson['shards'][number] {
  const newest = newestLeader(nodes.filter(({ condition }) => condition === Condition.UP))
  return {
    id: shard,
    leader: newest === undefined ? null : nameOf(newest),
    term: String(Math.max(0, ...nodes.map((node) => Number(termOf(node))))),
    nodes: nodes.map((node) => ({
      ...nameOf(node),
      answers: node.condition === Condition.UP,
      ...(node.reason === '' ? {} : { reason: node.reason }),
    })),
  }
}

function termOf({ status: told }: NodeReport): bigint {
  return told?.term ?? 0n
}

function nameOf({ name, status: told }: NodeReport): { id: string; name: string; address: string } {
  return { id: told?.nodeId ?? '', name, address: told?.address ?? '' }
}

/** Nodes are asked once for however many want to know at the same time. */
export function shared<T>(ask: () => Promise<T>): () => Promise<T> {
  let underWay: Promise<T> | undefined
  return () => {
    underWay ??= ask().finally(() => {
      underWay = undefined
    })
    return underWay
  }
}
