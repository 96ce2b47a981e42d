// Reads with a bound of staleness: any replica answers them, also while the leader is stopped, and never from before the bound.
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { KvClient } from '../../orchestrator/client/index.js'
import { KvUnary } from '../../orchestrator/wire/kv-unary.js'
import { Cluster } from '../harness/cluster.js'
import { keysOn } from '../harness/keys.js'
import { signal } from '../harness/process.js'
import type { NodeView } from '../harness/status.js'
import { until } from '../harness/wait.js'

const SHARD = 1
/** Longer than this test stops anybody. */
const LOOSE_MS = 60_000
const TIGHT_MS = 1
const BOUND_MS = 200
const DEADLINE_MS = 10_000
const READS = 200

let cluster: Cluster
let client: KvClient
beforeAll(async () => {
  cluster = await Cluster.start({ shards: 1 })
  client = await KvClient.connect({ endpoints: [cluster.address], mode: 'direct', deadlineMs: DEADLINE_MS })
})
afterAll(async () => {
  await client?.close()
  await cluster?.dispose()
})

async function newKey(name: string): Promise<string> {
  return keysOn(await cluster.map(), SHARD, name)()
}

/** What this very node answers; nobody sends the read elsewhere. */
async function readFrom({ address }: NodeView, key: string, staleMs: number): Promise<string | null> {
  const node = new KvUnary(address)
  try {
    const { found, value } = await node.get(Buffer.from(key), { deadlineMs: DEADLINE_MS, staleMs })
    return found ? Buffer.from(value).toString() : null
  } finally {
    node.close()
  }
}

test('every replica answers them, and the gateway and batches know them', async () => {
  await cluster.settled()
  const key = await newKey('everywhere')
  await client.put(key, 'v1')
  for (const node of await cluster.nodesOf(SHARD)) {
    const answered = () => readFrom(node, key, TIGHT_MS).catch(() => undefined)
    expect(await until(`${node.id} to have a proof`, answered)).toBe('v1')
    await expect(readFrom(node, key, LOOSE_MS)).resolves.toBe('v1')
  }
  await client.put(key, 'v2')
  const gateway = await KvClient.connect({ endpoints: [cluster.address], mode: 'gateway' })
  try {
    for (const one of [client, gateway]) {
      // The write was acknowledged before: a bound that is shorter than that must show it.
      await pause(TIGHT_MS + 1)
      expect((await one.get(key, { staleMs: TIGHT_MS }))?.text()).toBe('v2')
      const [hit] = await one.batch().get(key, { staleMs: TIGHT_MS }).run()
      expect(hit).toMatchObject({ version: 2n })
    }
  } finally {
    await gateway.close()
  }
})

test('with the leader stopped they go on within a loose bound, and are refused within a tight one', async () => {
  await cluster.settled()
  const key = await newKey('stopped')
  await client.put(key, 'old')
  const leader = await cluster.leaderOf(SHARD)
  const followers = await cluster.followersOf(SHARD)
  for (const node of followers) {
    await until('a proof', () => readFrom(node, key, TIGHT_MS).catch(() => undefined))
  }
  signal(leader.pid, 'SIGSTOP')
  try {
    const tight = followers.map((node) => readFrom(node, key, TIGHT_MS).catch((error: unknown) => error))
    await expect(Promise.all(followers.map((node) => readFrom(node, key, LOOSE_MS)))).resolves.toEqual(['old', 'old'])
    // Nobody can have been elected yet.
    for (const refused of await Promise.all(tight)) {
      expect(refused).toMatchObject({ code: 'UNAVAILABLE', outcome: 'not-applied' })
    }
    const begin = performance.now()
    for (let i = 0; i < READS; i++) expect((await client.get(key, { staleMs: LOOSE_MS }))?.text()).toBe('old')
    console.log(`${READS} reads with a bound beside a stopped leader: ${(performance.now() - begin).toFixed(0)} ms`)
    await client.put(key, 'new')
    // From now on 'old' is before the bound. The read waits in the sockets of the stopped node.
    await pause(BOUND_MS + 1)
    const late = readFrom(leader, key, BOUND_MS).catch(() => 'refused')
    expect((await client.get(key, { staleMs: BOUND_MS }))?.text()).toBe('new')
    signal(leader.pid, 'SIGCONT')
    expect(['new', 'refused']).toContain(await late)
  } finally {
    signal(leader.pid, 'SIGCONT')
  }
})
