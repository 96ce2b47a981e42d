// Several machines: leaders are spread over them again when one has come back, and a machine is emptied of leaders before it is
// switched off, under clients of every kind; everything that any of them was told is checked.
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Condition, ControlClient } from '../../orchestrator/wire/control.js'
import { Role } from '../../orchestrator/wire/node-admin.js'
import { order as breakDisk } from '../chaos/faults/orders.js'
import { recorded } from '../elastic/recorded.js'
import { whyNoHosts } from '../harness/hosts.js'
import { ROOT } from '../harness/root.js'
import { until } from '../harness/wait.js'
import { HostedCluster } from './hosted-cluster.js'

/** The real one, whose disk fails as it is told. */
const BREAKABLE = join(ROOT, 'dist/bin/faults/kvnode')
const MACHINES = ['m1', 'm2', 'm3']
const SHARDS = 5
const REPLICAS = 3
const CALL = { deadlineMs: 5_000 }
/** Leaders are waited for many times here, and none of them is about the wait. */
const FLAGS = ['--leader-settle-ms', '2000']
/** Two leaders in the settling time, each with a rest, on a machine that may be busy. */
const SPREAD_MS_MAX = 60_000

/** Appends take so long then; the watchdog would end a node after 2 s. */
const SLOW_MS = 60
/** It has to be slow for the settling time, after the last appends were slow. */
const SLOW_MS_MAX = 60_000

const why = await whyNoHosts()
let cluster: HostedCluster
let control: ControlClient
beforeAll(async () => {
  if (why !== undefined) return
  const options = { shards: SHARDS, replicas: REPLICAS, kvnode: BREAKABLE, flags: FLAGS }
  cluster = await HostedCluster.start({ machines: MACHINES, ...options })
  control = new ControlClient(cluster.address)
})
afterAll(async () => {
  control?.close()
  await cluster?.dispose()
})

/** How many groups, meta's included, are led on each machine; undefined while one has no leader that answers. */
async function loads(): Promise<number[] | undefined> {
  const { groups } = await control.status(CALL)
  const leaders = groups.map(({ nodes }) => {
    const leading = nodes.filter(({ condition, status }) => condition === Condition.UP && status?.role === Role.LEADER)
    return leading.sort((a, b) => Number((b.status?.term ?? 0n) - (a.status?.term ?? 0n)))[0]?.status?.address
  })
  if (leaders.includes(undefined)) return undefined
  return MACHINES.map(
    (name) => leaders.filter((address) => address?.startsWith(`${cluster.host(name).address}:`)).length,
  )
}

function spread(what: string, expected: readonly number[]): Promise<unknown> {
  const isSo = async () => JSON.stringify(await loads()) === JSON.stringify(expected)
  return until(what, isSo, SPREAD_MS_MAX)
}

async function expectUnharmed(what: string, operation: () => Promise<void>): Promise<void> {
  const seed = Date.now() % 2 ** 31
  const result = await recorded(cluster, operation, { seed })
  console.log(`seed ${seed}, ${what}:`, result.counts, 'longest gaps, ms:', result.gapMs)
  expect(result.violations, `all of it is in ${result.folder}`).toEqual([])
  expect(result.failures).toEqual([])
  expect(result.counts.undecided).toBe(0)
  // Else nothing was tested. Of a drain there is not much: it is over in half a second.
  expect(result.counts.acknowledged).toBeGreaterThan(20)
}

test('a machine that comes back gets its share of the leaders', { timeout: 300_000 }, async ({ skip }) => {
  skip(why !== undefined, why)
  await spread('a fresh cluster to be led evenly', [2, 2, 2])
  await expectUnharmed('a machine comes back', async () => {
    await cluster.host('m2').powerOff()
    await cluster.ledWithout('m2')
    cluster.host('m2').connect()
    await cluster.startAgent('m2')
    await cluster.settled(REPLICAS)
    await spread('leaders on all machines', [2, 2, 2])
  })
})

test('a drained machine leads nothing, so nobody waits when it is switched off; undrained it leads again', {
  timeout: 300_000,
}, async ({ skip }) => {
  skip(why !== undefined, why)
  const order = { node: '', machine: 'm1', undo: false, dryRun: false }
  await spread('leaders on all machines', [2, 2, 2])
  await expectUnharmed('drain', async () => {
    const { nodes, moves } = await control.drain(order, CALL)
    expect([nodes.length, moves.length]).toEqual([SHARDS + 1, 2])
    await until('the machine to lead nothing', async () => (await control.drain(order, CALL)).moves.length === 0)
    expect((await loads())?.[0]).toBe(0)
  })
  await expectUnharmed('a drained machine is switched off', () => cluster.host('m1').powerOff())
  cluster.host('m1').connect()
  await cluster.startAgent('m1')
  await cluster.settled(REPLICAS)
  // Written down: the next orchestrator keeps to it.
  await cluster.killOrchestrator()
  await cluster.startOrchestrator(FLAGS)
  const { groups } = await control.status(CALL)
  expect(groups.flatMap(({ nodes }) => nodes.filter(({ drained }) => drained))).toHaveLength(SHARDS + 1)
  await spread('the others to lead everything', [0, 3, 3])
  await control.drain({ ...order, undo: true }, CALL)
  await spread('leaders on all machines', [2, 2, 2])
})

test('leaders leave a machine whose disk has become slow', { timeout: 300_000 }, async ({ skip }) => {
  skip(why !== undefined, why)
  await spread('leaders on all machines', [2, 2, 2])
  const { groups } = await control.status(CALL)
  const here = groups.flatMap(({ nodes }) =>
    nodes.map(({ name, status }) => ({ name, address: status?.address ?? '' })),
  )
  const onM3 = here.filter(({ address }) => address.startsWith(`${cluster.host('m3').address}:`))
  const places = onM3.map(({ name }) => ({ name, directory: join(cluster.dataOf('m3'), name) }))
  expect(places).toHaveLength(SHARDS + 1)
  await expectUnharmed('a slow disk', async () => {
    await Promise.all(places.map((place) => breakDisk(place, () => ({ disk: { syncStallsMs: SLOW_MS } }))))
    const isLeft = async () => (await loads())?.[2] === 0
    await until('the slow machine to lead nothing', isLeft, SLOW_MS_MAX)
  })
  const marked = (await control.status(CALL)).groups.flatMap(({ nodes }) => nodes.filter(({ slow }) => slow))
  expect(marked.map(({ name }) => name).sort()).toEqual(places.map(({ name }) => name).sort())
  await Promise.all(places.map((place) => breakDisk(place, () => ({}))))
})
