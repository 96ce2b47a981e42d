// A machine that loses its power for good: its nodes are replaced on another one by themselves, under clients of every kind. When
// it comes back it is told that it has nothing any more.
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { recorded } from '../elastic/recorded.js'
import { whyNoHosts } from '../harness/hosts.js'
import { until } from '../harness/wait.js'
import { HostedCluster } from './hosted-cluster.js'

const MACHINES = ['m1', 'm2', 'm3', 'm4']
const SHARDS = 2
const REPLICAS = 3
const GONE_MS = 5_000
const RETURN_MS_MAX = 60_000

const why = await whyNoHosts()
let cluster: HostedCluster
beforeAll(async () => {
  if (why !== undefined) return
  const flags = ['--replace-machine-after-ms', `${GONE_MS}`]
  cluster = await HostedCluster.start({ machines: MACHINES, shards: SHARDS, replicas: REPLICAS, flags })
})
afterAll(() => cluster?.dispose())

/** The directories of nodes that are on the machine's disk: "shard-1/node-2". */
function directoriesOn(machine: string): string[] {
  const groups = readdirSync(cluster.dataOf(machine)).filter((name) => /^(?:meta|shard-\d+)$/.test(name))
  return groups.flatMap((group) => readdirSync(join(cluster.dataOf(machine), group)).map((node) => `${group}/${node}`))
}

test('a machine that is gone is replaced by itself, and comes back to nothing: no call fails, nothing is lost', async ({
  skip,
}) => {
  skip(why !== undefined, why)
  const [lost = ''] = (await cluster.places())[0] ?? []
  const before = directoriesOn(lost)
  expect(before.length).toBeGreaterThan(0)
  const breakHost = async (): Promise<void> => {
    await cluster.host(lost).powerOff()
    await cluster.leftBy(lost)
    await cluster.settled(REPLICAS)
    expect(directoriesOn(lost)).toEqual(before)
    cluster.host(lost).connect()
    await cluster.startAgent(lost)
    await until(`nothing to be left on ${lost}`, () => directoriesOn(lost).length === 0, RETURN_MS_MAX)
    await cluster.settled(REPLICAS)
  }
  const seed = Date.now() % 2 ** 31
  const result = await recorded(cluster, breakHost, { seed })
  console.log(`seed ${seed}, a machine replaced:`, result.counts, 'longest gaps, ms:', result.gapMs)
  expect(result.violations, `all of it is in ${result.folder}`).toEqual([])
  expect(result.failures).toEqual([])
  expect(result.counts.undecided).toBe(0)
  // Else nothing was tested.
  expect(result.counts.acknowledged).toBeGreaterThan(100)
  for (const places of await cluster.places()) expect(places.sort()).toEqual(MACHINES.filter((name) => name !== lost))
  expect(cluster.nodesOn(lost)).toEqual([])
  expect(cluster.log).toContain(`nothing has been heard of machine ${lost}`)
})
