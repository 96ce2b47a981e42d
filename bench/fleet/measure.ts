// What depends on this machine: CPU of the map's code, and what one idle stream costs. Only with --measure.
import { setMaxListeners } from 'node:events'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { MapCell } from '../../orchestrator/core/map-source.js'
import { seededRng } from '../../orchestrator/core/rng.js'
import { type ClusterMap, makeClusterMap, supersedes } from '../../orchestrator/core/topology.js'
import { latestMaps } from '../../orchestrator/gateway/maps.js'
import { decodeClusterMap, encodeClusterMap } from '../../orchestrator/wire/cluster-map.js'
import { KvUnary } from '../../orchestrator/wire/kv-unary.js'
import { listen } from '../../orchestrator/wire/listener.js'
import { type KvHandlers, kvService } from '../../orchestrator/wire/services.js'
import { median } from '../../test/harness/median.js'
import type { Fleet } from './inputs.js'
import { mapOf } from './map.js'
import type { Section } from './section.js'
import { spread } from './spread.js'

const RUNS = 50
const STREAMS = 300
const IDLE_MS = 5000

/** Median of CPU ms that a call takes, after as many to warm up. */
function cpuMs(call: () => unknown): number {
  const once = () => {
    const before = process.cpuUsage()
    call()
    const { user, system } = process.cpuUsage(before)
    return (user + system) / 1000
  }
  for (let run = 0; run < RUNS; run++) once()
  return median(Array.from({ length: RUNS }, once))
}

export function codeSection({ shards, replicas, seed, gateways, clients }: Fleet): Section {
  const small = mapOf(3, replicas, seed)
  const large = mapOf(shards, replicas, seed)
  const other = makeClusterMap({ ...large, owners: [...large.owners].reverse() })
  const pairs: [string, (map: ClusterMap, bytes: Uint8Array) => unknown][] = [
    ['encode, for each receiver', encodeClusterMap],
    ['decode and check, at each receiver', (_, encoded) => decodeClusterMap(encoded)],
    ['compare with the one before (same epoch)', (map) => supersedes(map, map === large ? other : map)],
  ]
  const rows = pairs.map(([name, call]) => {
    const [few, many] = [small, large].map((map) => {
      const encoded = encodeClusterMap(map)
      return cpuMs(() => call(map, encoded))
    })
    return [name, few ?? 0, many ?? 0, (many ?? 0) / Math.max(1e-3, few ?? 0)]
  })
  const perEpoch = Number(rows[0]?.[2]) * Math.ceil(clients / gateways)
  return {
    title: 'Measured here: CPU of one map',
    head: ['what', 'ms, 3 shards', `ms, ${shards} shards`, 'ratio'],
    rows,
    notes: [
      `A gateway with ${Math.ceil(clients / gateways)} direct clients encodes a map so many times: ${perEpoch.toFixed(0)} ms of its one thread.`,
    ],
  }
}

/** To be asked first: what was chosen is kept. */
export function choiceSection(fleet: Fleet): Section {
  const { shards, replicas, machines, seed } = fleet
  const times = [Math.ceil(shards / 4), shards + 1].map((groups) => {
    const before = process.cpuUsage()
    spread(groups, replicas, fleet, 'chosen', seededRng(seed))
    const { user, system } = process.cpuUsage(before)
    return [groups, groups * replicas, (user + system) / 1e6]
  })
  return {
    title: `Measured here: chooseMachines for ${machines} machines`,
    head: ['groups', 'nodes', 'CPU s'],
    rows: times,
  }
}

/** Both ends of map streams in this process: a connection, an HTTP/2 session and a gRPC stream each. */
export async function streamSection({ shards, replicas }: Fleet): Promise<Section> {
  const cell = new MapCell(mapOf(3, 3, 1))
  const refuse = () => Promise.reject(new Error('not served here'))
  const handlers: KvHandlers = {
    get: refuse,
    put: refuse,
    delete: refuse,
    transaction: refuse,
    batch: () => {},
    clusterMap: (signal) => latestMaps(cell, signal),
  }
  const listener = await listen({ host: '127.0.0.1', port: 0 }, [kvService(handlers)])
  const stop = new AbortController()
  setMaxListeners(0, stop.signal)
  const before = settledMemory()
  const links = Array.from({ length: STREAMS }, () => new KvUnary(listener.address))
  const streams = links.map((link) => link.clusterMap(stop.signal))
  try {
    for (const stream of streams) await stream.next()
    const after = settledMemory()
    const cpu = process.cpuUsage()
    await new Promise((resolve) => setTimeout(resolve, IDLE_MS))
    const { user, system } = process.cpuUsage(cpu)
    const each = (bytes: number) => bytes / STREAMS / 1024
    const cpuUs = (user + system) / STREAMS / (IDLE_MS / 1000)
    const heapKiB = each(after.heap - before.heap)
    const rssKiB = each(after.rss - before.rss)
    const memoryMiB = (streams: number) => ((streams * Math.max(heapKiB, rssKiB)) / 1024).toFixed(0)
    const nodes = (shards + 1) * replicas
    return {
      title: `Measured here: an idle stream on a connection of its own, both ends in one process (${STREAMS} of them)`,
      head: ['heap and buffers KiB', 'RSS KiB', 'CPU us a second'],
      rows: [[heapKiB, rssKiB, cpuUs]],
      notes: [
        `An orchestrator that watches ${nodes} nodes: at most ${memoryMiB(nodes)} MiB and ` +
          `${((nodes * cpuUs) / 1e6).toFixed(3)} cores, idle; a gateway’s ${shards} lanes: ${memoryMiB(shards)} MiB.`,
      ],
    }
  } finally {
    stop.abort()
    for (const link of links) link.close()
    await listener.close(100)
  }
}

function settledMemory(): { readonly heap: number; readonly rss: number } {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  const { heapUsed, external, rss } = process.memoryUsage()
  return { heap: heapUsed + external, rss }
}
