// KvClient against what makes people give up on clients: each test is named after the complaint that it answers.
import { execFile } from 'node:child_process'
import { createServer, type Server } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { KvClient } from '../../orchestrator/client/index.js'
import { MapCell } from '../../orchestrator/core/map-source.js'
import { makeClusterMap } from '../../orchestrator/core/topology.js'
import { serveGateway } from '../../orchestrator/gateway/index.js'
import { Store } from '../../orchestrator/store/index.js'
import { Cluster } from '../harness/cluster.js'
import { keysOn } from '../harness/keys.js'
import { signal } from '../harness/process.js'
import { ROOT } from '../harness/root.js'
import { until, within } from '../harness/wait.js'

const run = promisify(execFile)
const MODES = ['auto', 'direct', 'gateway'] as const
const SHARDS = 2
const META_NODES = 3
/** For calls that are made while the whole cluster is away. */
const DEADLINE_MS = 30_000

let cluster: Cluster
beforeAll(async () => {
  cluster = await Cluster.start({ shards: SHARDS, replicas: 3 })
})
afterAll(() => cluster?.dispose())

async function withClients(work: (clients: readonly KvClient[]) => Promise<void>): Promise<void> {
  const endpoints = [cluster.address]
  const clients = await Promise.all(MODES.map((mode) => KvClient.connect({ endpoints, mode, deadlineMs: DEADLINE_MS })))
  try {
    await work(clients)
  } finally {
    await Promise.all(clients.map((kv) => kv.close({ drainMs: 1000 })))
  }
}

/** Each client writes to each shard, and reads what it wrote. */
async function allServed(clients: readonly KvClient[], round: string): Promise<void> {
  const map = await cluster.map()
  const served = clients.flatMap((kv, at) =>
    map.shards.map(async ({ id }) => {
      const key = keysOn(map, id, `${round}-${MODES[at]}`)()
      await kv.put(key, round)
      expect((await kv.get(key))?.text()).toBe(round)
    }),
  )
  await within(`every client to be served by every shard (${round})`, DEADLINE_MS, Promise.all(served))
}

test('5,000 callers at once, in each mode', async () => {
  await withClients(async (clients) => {
    for (const [at, kv] of clients.entries()) {
      const names = Array.from({ length: 5000 }, (_, i) => `many-${at}-${i}`)
      await Promise.all(names.map((name) => kv.put(name, name)))
      expect((await Promise.all(names.map((name) => kv.get(name)))).map((hit) => hit?.text())).toEqual(names)
    }
  })
})

describe('topology never refreshed (ioredis#587)', () => {
  test('leaders change, in order and by kill -9: nobody notices, and every append happens once', async () => {
    await withClients(async (clients) => {
      const stop = new AbortController()
      const appending = clients.map((kv, at) => appendUntil(stop.signal, kv, `appended-${at}`))
      for (let round = 0; round < 4; round++) {
        const shard = 1 + (round % SHARDS)
        const leader = await cluster.leaderOf(shard)
        if (round % 2 === 0) {
          const [follower] = await cluster.followersOf(shard)
          if (follower !== undefined) await cluster.moveLeaderTo(follower)
        } else {
          signal(leader.pid, 'SIGKILL')
        }
        await allServed(clients, `leader-${round}`)
        await cluster.settled()
      }
      stop.abort()
      for (const { length, times } of await Promise.all(appending)) expect(length).toBe(times)
    })
  })

  test('every node moves to another address, and others listen where it was', async () => {
    await withClients(async (clients) => {
      await allServed(clients, 'before')
      const old = (await cluster.map()).shards.flatMap(({ nodes }) => nodes.map(({ address }) => address))
      await cluster.stop()
      const strangers = await Promise.all(old.map(occupy))
      try {
        const early = clients.map((kv, at) => kv.get(`early-${at}`))
        await cluster.restart()
        await Promise.all(early)
        const now = (await cluster.map()).shards.flatMap(({ nodes }) => nodes.map(({ address }) => address))
        expect(now.filter((address) => old.includes(address))).toEqual([])
        await allServed(clients, 'moved')
      } finally {
        for (const stranger of strangers) stranger.close()
      }
    })
  })
})

test('nodes that cannot be reached from here: auto goes through the gateway, and directly once they can be', async () => {
  const real = await cluster.map()
  // Port 1: nobody listens there.
  const unreachable = real.shards.map(({ id, nodes }) => ({
    id,
    nodes: nodes.map((node) => ({ ...node, address: '127.0.0.1:1' })),
  }))
  const told = new MapCell(makeClusterMap({ ...real, shards: unreachable }))
  const store = new Store({ map: new MapCell(real) })
  const gateway = await serveGateway({ store, maps: told, host: '127.0.0.1', port: 0 })
  const kv = await KvClient.connect({ endpoints: [gateway.address] })
  try {
    const stop = new AbortController()
    const appending = appendUntil(stop.signal, kv, 'remote')
    await until('an append through the gateway', async () => (await kv.get('remote')) !== null)
    told.publish(real)
    // Whatever is on its way through it is sent again, and none of it happens twice.
    await gateway.close()
    await kv.append('remote-2', 'x')
    stop.abort()
    const end = await appending
    expect(end.length).toBe(end.times)
  } finally {
    await kv.close()
    await gateway.close()
    store.close()
  }
})

test('permanent failure after hours (etcd3#153): every process is killed, again and again', async () => {
  await withClients(async (clients) => {
    for (let cycle = 0; cycle < 3; cycle++) {
      cluster.killAll()
      await cluster.orchestrator.ended
      await until('every node to be gone', () => cluster.processes().length === 0)
      const early = clients.map((kv) => kv.put(`early-${cycle}`, 'v'))
      await cluster.restart()
      await Promise.all(early)
      await allServed(clients, `cycle-${cycle}`)
    }
    expect(cluster.nodeProcesses()).toHaveLength(SHARDS * 3 + META_NODES)
  })
})

test('hang after a server restart (grpc-node#2785): the next call is answered at once', async () => {
  await withClients(async (clients) => {
    for (const how of ['SIGKILL', 'SIGINT', 'SIGKILL'] as const) {
      await cluster.stop(how)
      await cluster.restart()
      const begin = performance.now()
      await allServed(clients, `restart-${how}`)
      expect(performance.now() - begin).toBeLessThan(5000)
    }
  })
})

test('nothing left after close: a program ends by itself, in each mode', async () => {
  const program = `
    import { KvClient } from 'kvorum'
    for (const mode of ['auto', 'direct', 'gateway']) {
      const kv = await KvClient.connect({ endpoints: [process.argv[1]], mode })
      await kv.put('k3', 'v3')
      const [put, hit, deleted] = await kv.batch().put('k4', 'v4').get('k3').delete('k6').run()
      console.log(put.version > 0n, deleted.existed, hit.text(), await kv.get('k5'))
      console.log((await kv.append('k3', 'v')).length)
      await kv.delete('k3')
      await kv.close()
    }
    const closed = performance.now()
    process.on('exit', () => console.log(performance.now() - closed < 2000, process.getActiveResourcesInfo()))`
  const args = ['--input-type=module', '--eval', program, cluster.address]
  const { stdout } = await run(process.execPath, args, { cwd: ROOT, timeout: 20_000 })
  const lines = stdout.trim().split('\n')
  expect(lines).toEqual([...MODES.flatMap(() => ['true false v3 null', '3']), expect.stringMatching(/^true /)])
  expect(lines.at(-1)).not.toMatch(/TCP|Timeout|Immediate/)
})

test('without a server connecting ends at its deadline', async () => {
  await cluster.stop()
  const begin = performance.now()
  const failure = await KvClient.connect({ endpoints: [cluster.address], deadlineMs: 300 }).catch(
    (error: unknown) => error,
  )
  expect(failure).toMatchObject({ code: 'UNAVAILABLE', outcome: 'not-applied' })
  expect(performance.now() - begin).toBeLessThan(2000)
})

/** Appends one byte after the other, and says how long the value has become. */
async function appendUntil(stop: AbortSignal, kv: KvClient, key: string): Promise<{ length: number; times: number }> {
  let length = 0
  let times = 0
  for (; !stop.aborted; times++) {
    length = (await kv.append(key, 'x')).length
    await pause(2)
  }
  return { length, times }
}

/** Somebody who takes connections and says nothing. */
async function occupy(address: string): Promise<Server> {
  const server = createServer((socket) => socket.on('error', () => {}))
  const port = Number(address.split(':').at(-1))
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve))
  return server
}
