// Shards are added and taken away under clients of every kind, and everything that any of them was told is checked.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ControlClient, OperationState } from '../../orchestrator/wire/control.js'
import { Cluster } from '../harness/cluster.js'
import { until } from '../harness/wait.js'
import { recorded } from './recorded.js'

const CALL = { deadlineMs: 5_000 }
const SCALE_MS_MAX = 120_000

let cluster: Cluster
let control: ControlClient
beforeAll(async () => {
  const args = ['--linger-ms', '0', '--deadline-ms', '2000', '--move-rest-factor', '0']
  cluster = await Cluster.start({ shards: 2, replicas: 3, args })
  control = new ControlClient(cluster.address)
})
afterAll(async () => {
  control?.close()
  await cluster?.dispose()
})

test('2 to 3 to 2 shards: no request fails, every key is linearizable, every append is there once', {
  timeout: 300_000,
}, async () => {
  const thereAndBack = async (): Promise<void> => {
    for (const shards of [3, 2]) await scale(shards)
  }
  const seed = Date.now() % 2 ** 31
  const result = await recorded(cluster, thereAndBack, { seed })
  console.log(`seed ${seed}, 2 to 3 to 2 shards:`, result.counts, 'longest gaps, ms:', result.gapMs)
  expect(result.violations, `all of it is in ${result.folder}`).toEqual([])
  expect(result.failures).toEqual([])
  expect(result.counts.undecided).toBe(0)
  // Else nothing was tested.
  expect(result.counts.acknowledged).toBeGreaterThan(200)
})

async function scale(shards: number): Promise<void> {
  const { id } = await control.scale(shards, { ...CALL, dryRun: false })
  await until(
    `${shards} shards`,
    async () => {
      const operation = (await control.operations(CALL)).find((one) => one.id === id)
      return operation?.state === OperationState.DONE
    },
    SCALE_MS_MAX,
  )
}
