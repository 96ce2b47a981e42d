// Nodes come and go while clients of every kind work: 3 replicas to 5, to 3, to 1 and back to 3, and a node whose disk is gone
// is replaced. No call fails, every answer is right, and nothing is left over.
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  Condition,
  ControlClient,
  type NodeReport,
  type Operation,
  OperationState,
} from '../../orchestrator/wire/control.js'
import { Cluster } from '../harness/cluster.js'
import { signal } from '../harness/process.js'
import { until } from '../harness/wait.js'
import { recorded } from './recorded.js'

const CALL = { deadlineMs: 5_000 }
const BEGIN = { ...CALL, dryRun: false }
const ENDED_MS_MAX = 60_000

let cluster: Cluster
let control: ControlClient
beforeAll(async () => {
  cluster = await Cluster.start({ shards: 2, replicas: 3 })
  control = new ControlClient(cluster.address)
})
afterAll(async () => {
  control?.close()
  await cluster?.dispose()
})

test('3 to 5 to 3 to 1 to 3 replicas, and a node whose disk is gone: no call fails, every answer is right', async () => {
  const took: string[] = []
  const work = async (): Promise<void> => {
    for (const replicas of [5, 3, 1, 3]) {
      took.push(await ended(await control.replicas(replicas, BEGIN)))
      await expectWhole(replicas)
    }
    const lost = await loseDisk(1)
    took.push(await ended(await control.replaceNode(lost, CALL)))
    await expectWhole(3)
    expect((await groupOf(1)).map(({ name }) => name)).not.toContain(lost)
  }
  const result = await recorded(cluster, work, { seed: 11 })
  console.log(took.join('; '), result.counts, 'longest gaps, ms:', result.gapMs)
  expect(result.violations, `all of it is in ${result.folder}`).toEqual([])
  expect(result.failures).toEqual([])
  expect(result.counts.acknowledged).toBeGreaterThan(200)
  await cluster.settled()
  // What is written down is what there is: another orchestrator finds it.
  cluster.orchestrator.signal('SIGKILL')
  await cluster.orchestrator.ended
  await cluster.restart()
  await expectWhole(3)
})

/** How long it took, in words. */
async function ended({ id }: Operation): Promise<string> {
  const { what, state, begunAt, endedAt } = await until(
    `operation ${id} to end`,
    async () => {
      const found = (await control.operations(CALL)).find((one) => one.id === id)
      if (found?.state === OperationState.RUNNING) throw new Error(`${found.what}: ${found.detail}`)
      return found
    },
    ENDED_MS_MAX,
  )
  expect([what, state]).toEqual([what, OperationState.DONE])
  return `${what}: ${Number(endedAt - begunAt)} ms`
}

/** Every group has so many voters, each with a process and a directory, and nothing else is there. */
async function expectWhole(replicas: number): Promise<void> {
  const { groups } = await control.status(CALL)
  const map = await cluster.map()
  for (const { shard, nodes } of groups) {
    const leader = nodes.find(({ status }) => status?.ready)?.status
    const ids = nodes.map(({ status }) => status?.nodeId).sort()
    expect(ids).toHaveLength(replicas)
    expect(
      leader?.members
        .filter(({ voter }) => voter)
        .map(({ nodeId }) => nodeId)
        .sort(),
    ).toEqual(ids)
    expect(leader?.members).toHaveLength(replicas)
    const mapped = map.shards.find(({ id }) => id === shard)?.nodes.map(({ id }) => id)
    if (shard > 0) expect([...(mapped ?? [])].sort()).toEqual(ids)
    const folder = join(cluster.data, shard === 0 ? 'meta' : `shard-${shard}`)
    expect(
      readdirSync(folder)
        .map((name) => `${folder}/${name}`)
        .sort(),
    ).toEqual(nodes.map(({ name }) => join(cluster.data, name)).sort())
  }
  expect(cluster.nodeProcesses()).toHaveLength(groups.length * replicas)
}

async function groupOf(shard: number): Promise<readonly NodeReport[]> {
  return (await control.status(CALL)).groups.find((group) => group.shard === shard)?.nodes ?? []
}

/** The disk of a shard's leader is gone, and its process with it. */
async function loseDisk(shard: number): Promise<string> {
  const leader = (await groupOf(shard)).find(({ status }) => status?.ready)
  if (leader?.status === undefined) throw new Error(`shard ${shard} has no leader`)
  const { name, status } = leader
  signal(status.pid, 'SIGSTOP')
  rmSync(status.dataDir, { recursive: true })
  signal(status.pid, 'SIGKILL')
  await until(`${name} to be held`, async () => {
    return (await groupOf(shard)).some((one) => one.name === name && one.condition === Condition.HELD)
  })
  expect(existsSync(status.dataDir)).toBe(false)
  return name
}
