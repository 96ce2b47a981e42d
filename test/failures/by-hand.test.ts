// `kvorum fault partition|delay` on a cluster of `npm start -- --fault-proxy`, as a person gives them.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { RequestWrapper } from '../../orchestrator/client/index.js'
import { Cluster } from '../harness/cluster.js'
import { keysOn } from '../harness/keys.js'
import { Program, processesOf, signal } from '../harness/process.js'
import { ROOT } from '../harness/root.js'
import type { NodeView } from '../harness/status.js'
import { until, within } from '../harness/wait.js'

const SHARD = 1
const PATIENT_MS = 20_000
const END_MS_MAX = 40_000
const possible = process.platform === 'linux'

let cluster: Cluster
let client: RequestWrapper
let nextKey: () => string
beforeEach(async () => {
  if (!possible) return
  cluster = await Cluster.start({ shards: 1, args: ['--fault-proxy'] })
  client = new RequestWrapper(cluster.address, { deadlineMs: PATIENT_MS })
  nextKey = keysOn(await cluster.map(), SHARD, 'hand')
  await cluster.settled()
})
afterEach(async () => {
  client?.close()
  await cluster?.dispose()
})

function kvorum(...words: readonly string[]): Program {
  return new Program([
    process.execPath,
    join(ROOT, 'dist/orchestrator/cli/main.js'),
    ...words,
    '--address',
    cluster.address,
  ])
}

function nameOf(node: NodeView): string {
  return relative(cluster.data, node.directory)
}

function proxyPid(): number {
  return JSON.parse(readFileSync(join(cluster.data, 'fault-proxy/state.json'), 'utf8')).pid as number
}

test.runIf(possible)('a leader that is cut off: another leads, writes go on, and it comes back by itself', async () => {
  const leader = await cluster.leaderOf(SHARD)
  const key = nextKey()
  await client.put(key, 'before')
  const fault = kvorum('fault', 'partition', nameOf(leader), '--for', '8')
  await fault.line(/^cut off shard-1\/node-\d \(pid \d+\)$/, PATIENT_MS)
  // Clients are cut off as well: it does not answer, and so another one is found.
  expect((await cluster.leaderOf(SHARD)).id).not.toBe(leader.id)
  await client.put(key, 'after')
  expect((await cluster.nodesOf(SHARD)).map(({ id }) => id)).not.toContain(leader.id)
  // Nobody is left but the proxy who knows when it is over.
  fault.signal('SIGKILL')
  await until('the node to be back', async () =>
    (await cluster.nodesOf(SHARD)).some(({ id, serving }) => id === leader.id && serving),
  )
  await cluster.settled()
  expect(await client.get(key)).toBe('after')
})

test.runIf(possible)('a leader that nobody hears is deposed, and healed when a person wants that', async () => {
  const leader = await cluster.leaderOf(SHARD)
  const fault = kvorum('fault', 'partition', nameOf(leader), '--direction', 'out', '--for', '3600')
  await fault.line(/^cut off/, PATIENT_MS)
  expect((await cluster.leaderOf(SHARD)).id).not.toBe(leader.id)
  fault.signal('SIGINT')
  expect(await within('the command to end', END_MS_MAX, fault.ended)).toEqual({ code: 0, signal: null })
  expect(fault.stdout).toMatch(/healed shard-1\/node-/)
  await cluster.settled()
})

test.runIf(possible)('packets of a leader that are late: a write takes two of them, until all is healed', async () => {
  const leader = await cluster.leaderOf(SHARD)
  const fault = kvorum('fault', 'delay', nameOf(leader), '--ms', '60', '--jitter', '20', '--for', '3600')
  await fault.line(/^delayed/, PATIENT_MS)
  const since = performance.now()
  await client.put(nextKey(), 'x')
  expect(performance.now() - since).toBeGreaterThanOrEqual(120)
  const heal = kvorum('fault', 'heal', '--all')
  expect(await within('healing', END_MS_MAX, heal.ended)).toEqual({ code: 0, signal: null })
  await until('a write to be fast again', async () => {
    const begin = performance.now()
    await client.put(nextKey(), 'x')
    return performance.now() - begin < 60
  })
  fault.signal('SIGINT')
  await fault.ended
})

test.runIf(possible)(
  'the proxy outlives the orchestrator, is started again when it dies, and ends with the nodes',
  async () => {
    const key = nextKey()
    await client.put(key, 'kept')
    const first = proxyPid()
    signal(first, 'SIGKILL')
    await until('another proxy', () => proxyPid() !== first)
    await cluster.settled()
    expect(cluster.log).toContain('proxy.lost')
    expect(await client.get(key)).toBe('kept')
    const [second, nodes] = [proxyPid(), cluster.nodeProcesses().map(({ pid }) => pid)]

    cluster.orchestrator.signal('SIGKILL')
    await cluster.orchestrator.ended
    const without = new Program([
      process.execPath,
      join(ROOT, 'dist/orchestrator/main.js'),
      '--port',
      '0',
      '--data',
      cluster.data,
    ])
    expect(await within('a refusal', END_MS_MAX, without.ended)).toEqual({ code: 1, signal: null })
    expect(without.stderr).toMatch(/6 nodes that were started with --fault-proxy still run on/)
    await cluster.restart()
    expect(proxyPid()).toBe(second)
    expect(cluster.nodeProcesses().map(({ pid }) => pid)).toEqual(nodes)
    expect(await client.get(key)).toBe('kept')

    expect(await cluster.stop()).toEqual({ code: 0, signal: null })
    expect(processesOf(cluster.data)).toEqual([])
    expect(existsSync(join(cluster.data, 'fault-proxy/state.json'))).toBe(false)
  },
)

test.runIf(possible)('a proxy that cannot be started again ends the cluster, and why is said', async () => {
  const file = join(cluster.data, 'fault-proxy/state.json')
  // What it would go on with is spoilt.
  writeFileSync(file, JSON.stringify({ pid: proxyPid(), routes: 'none' }))
  signal(proxyPid(), 'SIGKILL')
  expect(await within('the end', END_MS_MAX, cluster.orchestrator.ended)).toEqual({ code: 1, signal: null })
  expect(cluster.log).toMatch(/the proxy between the nodes is gone, .* cannot unmarshal/)
  expect(cluster.nodeProcesses()).toEqual([])
})
