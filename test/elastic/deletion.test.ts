// A prefix is deleted while a shard is added, under clients of every kind whose answers are all checked, and beside
// writers of that very prefix.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { KvClient } from '../../orchestrator/client/index.js'
import { ControlClient, OperationState } from '../../orchestrator/wire/control.js'
import { Cluster } from '../harness/cluster.js'
import { until } from '../harness/wait.js'
import { recorded } from './recorded.js'

const CALL = { deadlineMs: 5_000 }
const OLD = 20_000
const WRITERS = 8

let cluster: Cluster
let control: ControlClient
let client: KvClient
beforeAll(async () => {
  cluster = await Cluster.start({ shards: 2, replicas: 1, args: ['--linger-ms', '0', '--deadline-ms', '2000'] })
  control = new ControlClient(cluster.address)
  client = await KvClient.connect({ endpoints: [cluster.address], deadlineMs: 30_000 })
})
afterAll(async () => {
  await client?.close()
  control?.close()
  await cluster?.dispose()
})

test('2 to 3 shards beside a deletion: what was there is gone, and no other write is lost', {
  timeout: 180_000,
}, async () => {
  await fill()
  let working = true
  const beside = { moves: 0 }
  /** Each key's value as its only writer knows it: the last one that was acknowledged. */
  const written = new Map<string, string>()
  const write = async (writer: number): Promise<void> => {
    for (let at = 0; working; at++) {
      const key = `gone:${String((at * 2_501) % OLD).padStart(5, '0')}/${writer}`
      await client.put(key, String(at))
      written.set(key, String(at))
    }
  }
  const work = async (): Promise<void> => {
    const writers = Array.from({ length: WRITERS }, (_, writer) => write(writer))
    const moving = scale(3)
    const deletion = await client.deletePrefix('gone:')
    beside.moves = (await control.operations(CALL)).filter(({ kind }) => kind === 'reshard').length
    expect(deletion.deleted).toBeGreaterThanOrEqual(OLD)
    working = false
    await Promise.all([...writers, moving])
  }
  const seed = Date.now() % 2 ** 31
  const result = await recorded(cluster, work, { seed })
  console.log(`seed ${seed}, a deletion of ${OLD} keys while 2 shards became 3:`, result.counts)
  expect(result.violations, `all of it is in ${result.folder}`).toEqual([])
  expect(result.failures).toEqual([])
  // Those that were there and were not written are gone; of those that were written meanwhile what is there is what was written last.
  let left = 0
  for await (const entry of client.scan({ prefix: 'gone:' })) {
    left++
    expect([entry.keyText(), entry.text()]).toEqual([entry.keyText(), written.get(entry.keyText())])
  }
  console.log(`${written.size} keys were written meanwhile, ${left} of them are there`)
  // Else nothing was tested.
  expect(beside.moves).toBeGreaterThan(0)
  expect(written.size).toBeGreaterThan(100)
  expect(result.counts.acknowledged).toBeGreaterThan(100)
})

async function fill(): Promise<void> {
  const batch = client.batch<unknown[] & never[]>()
  for (let at = 0; at < OLD; at++) batch.put(`gone:${String(at).padStart(5, '0')}`, 'old')
  await batch.run()
}

async function scale(shards: number): Promise<void> {
  const { id } = await control.scale(shards, { ...CALL, dryRun: false })
  const isDone = async () =>
    (await control.operations(CALL)).find((one) => one.id === id)?.state === OperationState.DONE
  await until(`${shards} shards`, isDone, 120_000)
}
