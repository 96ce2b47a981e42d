// Scans while shards are added: every key that is there all the time comes once in every scan, in order, wherever it is by now.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { KvClient } from '../../orchestrator/client/index.js'
import { ControlClient, OperationState } from '../../orchestrator/wire/control.js'
import { Cluster } from '../harness/cluster.js'
import { until } from '../harness/wait.js'

const CALL = { deadlineMs: 5_000 }
const STABLE = 4000
const MODES = ['direct', 'gateway'] as const

let cluster: Cluster
let control: ControlClient
const clients: KvClient[] = []
beforeAll(async () => {
  cluster = await Cluster.start({ shards: 3, replicas: 1, args: ['--linger-ms', '0'] })
  control = new ControlClient(cluster.address)
  for (const mode of MODES)
    clients.push(await KvClient.connect({ endpoints: [cluster.address], mode, deadlineMs: 30_000 }))
})
afterAll(async () => {
  for (const client of clients) await client.close()
  control?.close()
  await cluster?.dispose()
})

const names = Array.from({ length: STABLE }, (_, at) => `scan/${String(at).padStart(5, '0')}`)

test('3 to 4 shards: no scan and no count misses a stable key or gives one twice', { timeout: 180_000 }, async () => {
  const [writer] = clients as [KvClient, KvClient]
  const batch = writer.batch<unknown[] & never[]>()
  for (const name of names) batch.put(name, name)
  await batch.run()
  let moving = true
  // Keys between the stable ones come and go.
  const churn = async (): Promise<void> => {
    for (let at = 0; moving; at = (at + 7) % STABLE) {
      await writer.put(`${names[at]}/fleeting`, 'x')
      if (at % 2 === 0) await writer.delete(`${names[at]}/fleeting`)
    }
  }
  let scans = 0
  const scanning = async (client: KvClient, reverse: boolean): Promise<void> => {
    // Once more after the end: by the new map.
    for (let last = false; !last; scans++) {
      last = !moving
      const keys: string[] = []
      for await (const entry of client.scan({ prefix: 'scan/', reverse })) keys.push(entry.keyText())
      const stable = keys.filter((key) => !key.endsWith('/fleeting'))
      expect(stable).toEqual(reverse ? [...names].reverse() : names)
      expect(new Set(keys).size).toBe(keys.length)
    }
  }
  const counting = async (client: KvClient): Promise<void> => {
    for (let last = false; !last; ) {
      last = !moving
      const count = await client.count({ prefix: 'scan/' })
      expect(count).toBeGreaterThanOrEqual(STABLE)
      expect(count).toBeLessThanOrEqual(2 * STABLE)
    }
  }
  const work = Promise.all([
    churn(),
    ...clients.flatMap((client) => [scanning(client, false), scanning(client, true), counting(client)]),
  ])
  const moved = scale(4).finally(() => {
    moving = false
  })
  await Promise.all([moved, work])
  expect((await cluster.map()).shards).toHaveLength(4)
  // Else nothing was tested.
  expect(scans).toBeGreaterThan(8)
  console.log(`${scans} scans of ${STABLE} keys while 3 shards became 4`)
})

async function scale(shards: number): Promise<void> {
  const { id } = await control.scale(shards, { ...CALL, dryRun: false })
  await until(
    `${shards} shards`,
    async () => (await control.operations(CALL)).find((one) => one.id === id)?.state === OperationState.DONE,
    120_000,
  )
}
