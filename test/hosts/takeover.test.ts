// Two orchestrators on hosts of their own, with a data directory each, and nodes on machines with agents: whoever is killed, the
// other one goes on with what was under way, and clients that know both notice nothing.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ControlClient, MoveState, type Operation, OperationState } from '../../orchestrator/wire/control.js'
import { recorded } from '../elastic/recorded.js'
import { whyNoHosts } from '../harness/hosts.js'
import { until } from '../harness/wait.js'
import { HostedCluster, type Joined } from './hosted-cluster.js'

const MACHINES = ['m1', 'm2', 'm3']
const REPLICAS = 3
const CALL = { deadlineMs: 5_000 }
const DONE_MS_MAX = 60_000

const why = await whyNoHosts()
let cluster: HostedCluster
let other: Joined
let control: ControlClient
beforeAll(async () => {
  if (why !== undefined) return
  cluster = await HostedCluster.start({ machines: MACHINES, shards: 2, replicas: REPLICAS })
  other = await cluster.joinOther()
  control = new ControlClient(other.address)
})
afterAll(async () => {
  control?.close()
  await cluster?.dispose()
})

const nodes = () => MACHINES.flatMap((machine) => cluster.nodesOn(machine).map(({ pid }) => pid)).sort()

test('2 to 3 shards, while whoever carries it out is killed: one with another data directory finishes it', {
  timeout: 180_000,
}, async ({ skip }) => {
  skip(why !== undefined, why)
  expect(other.role).toBe('standby')
  const before = nodes()
  const killed = async () => {
    const { id } = await control.scale(3, { ...CALL, dryRun: false })
    await until('a move', async () => (await doneIn(id)) > 0, DONE_MS_MAX)
    await cluster.killOrchestrator()
    await until('the end', async () => (await find(id))?.state === OperationState.DONE, DONE_MS_MAX)
  }
  const endpoints = [cluster.address, other.address]
  const seed = Date.now() % 2 ** 31
  const result = await recorded(cluster, killed, { seed, endpoints })
  console.log(`seed ${seed}, holder killed:`, result.counts, 'longest gaps, ms:', result.gapMs)
  expect(result.violations, `all of it is in ${result.folder}`).toEqual([])
  // The compat client has the default deadline of 5 s, and a lease runs out after as long.
  expect(result.failures.filter((failure) => !failure.includes(' by compat'))).toEqual([])
  expect(result.counts.undecided).toBe(0)
  // Else nothing was tested.
  expect(result.counts.acknowledged).toBeGreaterThan(100)
  // Nobody was restarted, and nobody is in two places.
  expect(nodes()).toHaveLength(4 * REPLICAS)
  expect(nodes()).toEqual(expect.arrayContaining(before))
})

test('who was killed joins again with its old registry, and takes over by what is true now', {
  timeout: 180_000,
}, async ({ skip }) => {
  skip(why !== undefined, why)
  const before = nodes()
  await expect(cluster.startOrchestrator()).rejects.toThrow()
  expect(cluster.log).toContain(`start this one with --join ${other.address}`)
  await cluster.startOrchestrator(['--join', other.address])
  const first = new ControlClient(cluster.address)
  try {
    // It follows.
    await first.operations(CALL)
    other.program.signal('SIGKILL')
    await other.program.ended
    const shrunk = async () => {
      try {
        return await first.scale(2, { ...CALL, dryRun: false })
      } catch {
        // Nobody holds the lease yet.
        return undefined
      }
    }
    const { id } = await until('a holder', shrunk, DONE_MS_MAX)
    const isDone = async () =>
      (await first.operations(CALL)).find((one) => one.id === id)?.state === OperationState.DONE
    await until('the end', isDone, 2 * DONE_MS_MAX)
  } finally {
    first.close()
  }
  expect(nodes()).toHaveLength(3 * REPLICAS)
  expect(before).toEqual(expect.arrayContaining(nodes()))
  expect(await cluster.stop()).toEqual({ code: 0, signal: null })
  expect(nodes()).toEqual([])
})

async function find(id: string): Promise<Operation | undefined> {
  return (await control.operations(CALL)).find((one) => one.id === id)
}

async function doneIn(id: string): Promise<number> {
  return (await find(id))?.moves.filter(({ state }) => state === MoveState.DONE).length ?? 0
}
