// Writes that happen once: tokens are appended while everything between a client and the disk fails, and in the end each
// of them is looked for. An append is the operation that shows a second time.
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { RequestWrapper } from '../../orchestrator/client/index.js'
import { MapCell } from '../../orchestrator/core/map-source.js'
import type { ClusterMap } from '../../orchestrator/core/topology.js'
import { Executor } from '../../orchestrator/store/executor.js'
import { Store } from '../../orchestrator/store/store.js'
import { type AppendClient, Appenders } from '../harness/appenders.js'
import { Cluster } from '../harness/cluster.js'
import { keysEverywhere } from '../harness/keys.js'
import { signal } from '../harness/process.js'
import { SwallowProxy } from '../harness/swallow.js'
import { until } from '../harness/wait.js'

const CLIENTS = 8
const LOOPS = 16
const KEYS = 300
const APPENDS_MIN = 50_000
const STORE_APPENDS_MIN = 10_000
/** An answer in so many is lost. */
const SWALLOW_EVERY = 25
const PAUSE_MS = 1_500
/** For what is still to be appended when the last round is over. */
const REST_MS_MAX = 60_000
const READ = { deadlineMs: 30_000 }

let cluster: Cluster
beforeAll(async () => {
  cluster = await Cluster.start()
})
afterAll(() => cluster?.dispose())

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

test('between clients and nodes: every acknowledged append is there once', { timeout: 240_000 }, async () => {
  const proxy = await swallowing(cluster.address)
  const clients = Array.from({ length: CLIENTS }, () => connect(proxy.address))
  const rounds = [killLeaders, killNodes, killOrchestrator, pauseLeader, killEverything, killLeaders]
  await check(clients, [proxy], rounds, APPENDS_MIN)
})

test('between the gateway and nodes: the same, when nodes die and their answers are lost', async () => {
  const map = await cluster.map()
  const proxies = new Map<string, SwallowProxy>()
  for (const { nodes } of map.shards) {
    for (const { address } of nodes) proxies.set(address, await swallowing(address))
  }
  const store = new Store({ map: new MapCell(through(map, proxies)) })
  cleanups.push(() => store.close())
  const rounds = [killLeaders, killNodes, pauseLeader]
  await check([overStore(store)], [...proxies.values()], rounds, STORE_APPENDS_MIN)
  // Or nobody would have come through the proxies any more.
  expect((await cluster.map()).shards).toEqual(map.shards)
})

let checks = 0

/** Appends during all the rounds, at least so often; then looks for every token. */
async function check(
  clients: readonly AppendClient[],
  proxies: readonly SwallowProxy[],
  rounds: readonly (() => Promise<void>)[],
  least: number,
): Promise<void> {
  await cluster.settled()
  const keyOf = keysEverywhere(await cluster.map(), `once${checks++}`)
  const watch = watchAttempts()
  const loops = (LOOPS * CLIENTS) / clients.length
  const appenders = new Appenders(
    clients,
    loops,
    Array.from({ length: KEYS }, (_, at) => keyOf(at)),
  )
  const { tally, failures } = appenders
  const began = performance.now()
  try {
    for (const round of rounds) {
      const enough = tally.acknowledged + 1_000
      await until('appends to be acknowledged', () => tally.acknowledged >= enough)
      await round()
      await cluster.settled()
    }
    await until('enough appends', () => tally.acknowledged >= least, REST_MS_MAX)
  } finally {
    await appenders.stop()
    watch.end()
  }
  const seconds = (performance.now() - began) / 1000
  await cluster.settled()
  const reader = connect(cluster.address)
  const faults = await appenders.faults((key) => reader.get(key, READ))
  const lost = proxies.reduce((sum, { swallowed }) => sum + swallowed, 0)
  const { acknowledged, refused, unknown } = tally
  console.log(
    `${acknowledged} appends acknowledged in ${seconds.toFixed(0)} s, ${refused} refused, ${unknown} unknown; ` +
      `${watch.again} sent again, ${watch.inDoubt} of them in doubt and then acknowledged; ${lost} answers lost; ` +
      `${faults.length} faults, ${failures.length} patient appends failed`,
  )
  expect(faults.slice(0, 10)).toEqual([])
  expect(failures.slice(0, 10)).toEqual([])
  // Else nothing was tested.
  expect(watch.inDoubt).toBeGreaterThan(100)
}

async function killLeaders(): Promise<void> {
  for (const { id } of (await cluster.map()).shards) {
    const leader = await cluster.leaderOf(id)
    signal(leader.pid, 'SIGKILL')
    await until('another leader', async () => (await cluster.leaderOf(id)).term > leader.term)
  }
}

async function killNodes(): Promise<void> {
  const before = new Set(cluster.nodeProcesses().map(({ pid }) => pid))
  for (const pid of before) signal(pid, 'SIGKILL')
  await until('the nodes to be replaced', () => {
    const now = cluster.nodeProcesses()
    return now.length === before.size && now.every(({ pid }) => !before.has(pid))
  })
}

async function killOrchestrator(): Promise<void> {
  cluster.orchestrator.signal('SIGKILL')
  await cluster.orchestrator.ended
  await cluster.restart()
}

async function killEverything(): Promise<void> {
  cluster.killAll()
  await cluster.orchestrator.ended
  await cluster.restart()
}

async function pauseLeader(): Promise<void> {
  const leader = await cluster.leaderOf(2)
  signal(leader.pid, 'SIGSTOP')
  try {
    await until('another leader', async () => (await cluster.leaderOf(2)).term > leader.term)
    // Time is the subject: it wakes with old requests in its sockets.
    await pause(PAUSE_MS)
  } finally {
    signal(leader.pid, 'SIGCONT')
  }
}

/** Closed with the test. */
async function swallowing(address: string): Promise<SwallowProxy> {
  const proxy = await SwallowProxy.start(address)
  cleanups.push(() => proxy.close())
  proxy.swallowEvery(SWALLOW_EVERY)
  return proxy
}

/** Closed with the test. */
function connect(address: string): RequestWrapper {
  const client = new RequestWrapper(address)
  cleanups.push(() => client.close())
  return client
}

/** The map with every node behind its proxy. */
function through(map: ClusterMap, proxies: ReadonlyMap<string, SwallowProxy>): ClusterMap {
  const shards = map.shards.map(({ id, nodes }) => ({
    id,
    nodes: nodes.map((node) => ({ ...node, address: proxies.get(node.address)?.address ?? node.address })),
  }))
  return { ...map, shards }
}

function overStore(store: Store): AppendClient {
  return {
    append: async (key, value, options) => {
      const { length } = await store.append(Buffer.from(key), Buffer.from(value), options)
      return length
    },
  }
}

interface Watch {
  /** Attempts that failed and were not the last. */
  again: number
  /** Appends that were acknowledged after an attempt of which nobody knew what had become. */
  inDoubt: number
  end(): void
}

/** Looks at every attempt of this process: what a client does inside its promise is not to be seen from outside. */
function watchAttempts(): Watch {
  const { attemptDone } = Executor.prototype
  const watch: Watch = {
    again: 0,
    inDoubt: 0,
    end: () => {
      Executor.prototype.attemptDone = attemptDone
    },
  }
  Executor.prototype.attemptDone = function (call, error, result) {
    const { inDoubt } = call
    attemptDone.call(this, call, error, result)
    if (call.operation.kind !== 'append') return
    if (error === undefined && inDoubt) watch.inDoubt++
    if (error !== undefined && !call.settled) watch.again++
  }
  return watch
}
