// Several machines: each is a network namespace with an agent. Hosts are cut off, powered off and brought back under clients of
// every kind, and everything that any of them was told is checked.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { recorded } from '../elastic/recorded.js'
import { whyNoHosts } from '../harness/hosts.js'
import { until } from '../harness/wait.js'
import { HostedCluster } from './hosted-cluster.js'

const MACHINES = ['m1', 'm2', 'm3']
const SHARDS = 3
const REPLICAS = 3
/** Five times what a machine costs that vanishes without a word: time-outs find it, and clients learn of the new leaders. */
const GAP_MS_MAX = 5 * 2_500

const why = await whyNoHosts()
let cluster: HostedCluster
beforeAll(async () => {
  if (why === undefined) {
    cluster = await HostedCluster.start({ machines: MACHINES, shards: SHARDS, replicas: REPLICAS })
  }
})
afterAll(() => cluster?.dispose())

const pidsOn = (machine: string): number[] =>
  cluster
    .nodesOn(machine)
    .map(({ pid }) => pid)
    .sort()

test('replicas of a shard are on different machines, and the machines have as many nodes', async ({ skip }) => {
  skip(why !== undefined, why)
  for (const places of await cluster.places()) expect(places.sort()).toEqual(MACHINES)
  // Meta has a node on each as well.
  for (const name of MACHINES) expect(cluster.nodesOn(name)).toHaveLength(SHARDS + 1)
})

test('a machine is cut off and comes back, another loses its power and comes back: nothing is lost or doubled', async ({
  skip,
}) => {
  skip(why !== undefined, why)
  const before = { m1: pidsOn('m1'), m2: pidsOn('m2') }
  const breakHosts = async (): Promise<void> => {
    cluster.host('m1').cutOff()
    await cluster.ledWithout('m1')
    cluster.host('m1').connect()
    await cluster.settled(REPLICAS)
    await cluster.host('m2').powerOff()
    await cluster.ledWithout('m2')
    cluster.host('m2').connect()
    await cluster.startAgent('m2')
    await cluster.settled(REPLICAS)
  }
  const seed = Date.now() % 2 ** 31
  const result = await recorded(cluster, breakHosts, { seed })
  console.log(`seed ${seed}, machines lost:`, result.counts, 'longest gaps, ms:', result.gapMs)
  expect(result.violations, `all of it is in ${result.folder}`).toEqual([])
  expect(result.failures).toEqual([])
  expect(result.counts.undecided).toBe(0)
  // Else nothing was tested.
  expect(result.counts.acknowledged).toBeGreaterThan(100)
  expect(Math.max(result.gapMs.direct, result.gapMs.gateway)).toBeLessThanOrEqual(GAP_MS_MAX)
  // Nobody decided anything about a machine that was only cut off.
  expect(pidsOn('m1')).toEqual(before.m1)
  expect(pidsOn('m2')).toHaveLength(SHARDS + 1)
  expect(pidsOn('m2').filter((pid) => before.m2.includes(pid))).toEqual([])
})

test('an agent that dies leaves its nodes running, and the next one goes on with them', async ({ skip }) => {
  skip(why !== undefined, why)
  const before = pidsOn('m3')
  await cluster.killAgent('m3')
  await cluster.settled(REPLICAS)
  await cluster.startAgent('m3')
  expect(pidsOn('m3')).toEqual(before)
  const [first = 0] = before
  process.kill(first, 'SIGKILL')
  await until(
    'the node to be started again',
    () => pidsOn('m3').length === before.length && !pidsOn('m3').includes(first),
  )
  expect(pidsOn('m3').filter((pid) => before.includes(pid))).toHaveLength(before.length - 1)
  await cluster.settled(REPLICAS)
})

test('the orchestrator adopts what runs, also while a machine is away, and stops it when it is told to', async ({
  skip,
}) => {
  skip(why !== undefined, why)
  const before = MACHINES.flatMap(pidsOn)
  await cluster.killOrchestrator()
  cluster.host('m1').cutOff()
  await cluster.startOrchestrator()
  expect(MACHINES.flatMap(pidsOn)).toEqual(before)
  cluster.host('m1').connect()
  await cluster.settled(REPLICAS)
  expect(MACHINES.flatMap(pidsOn)).toEqual(before)
  expect(await cluster.stop()).toEqual({ code: 0, signal: null })
  expect(MACHINES.flatMap(pidsOn)).toEqual([])
})
