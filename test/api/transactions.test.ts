// Transactions on a real cluster, past the gateway, through it, and over HTTP: what the README says of them.
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { KvClient, op } from '../../orchestrator/client/index.js'
import { Cluster } from '../harness/cluster.js'

const LOOPS = 6
const ROUNDS = 20
const ACCOUNTS = 4

let cluster: Cluster
beforeAll(async () => {
  cluster = await Cluster.start({ shards: 2, replicas: 3 })
})
afterAll(() => cluster?.dispose())

const clients: KvClient[] = []
afterEach(async () => {
  for (const client of clients.splice(0)) await client.close()
})

async function connect(mode: 'direct' | 'gateway'): Promise<KvClient> {
  const client = await KvClient.connect({ endpoints: [cluster.address], mode })
  clients.push(client)
  return client
}

describe.each(['direct', 'gateway'] as const)('mode %s', (mode) => {
  test('one branch or the other, and its operations see each other', async () => {
    const kv = await connect(mode)
    const key = (name: string): string => `{${mode}}${name}`
    const begun = await kv
      .txn()
      .if(key('state'), 'exists', '==', false)
      .then(op.put(key('state'), 'idle', { ifAbsent: true }), op.append(key('state'), '!'), op.get(key('state')))
      .else(op.get(key('state')))
      .run()
    if (!begun.succeeded) throw new Error('the key is new')
    const [put, appended, now] = begun.results
    expect([now?.text(), now?.version, appended.length]).toEqual(['idle!', put.version + 1n, 5])
    const late = await kv
      .txn()
      .if(key('state'), 'value', '==', 'idle')
      .then(op.delete(key('state')))
      .else(op.get(key('state')), op.increment(key('late')), op.delete(key('none')))
      .run()
    if (late.succeeded) throw new Error('the value is another one')
    expect([late.results[0]?.version, late.results[1], late.results[2]]).toEqual([now?.version, 1n, { existed: false }])
  })

  test('what fails changes nothing, and says which operation it was', async () => {
    const kv = await connect(mode)
    const key = (name: string): string => `{${mode}-fails}${name}`
    await kv.put(key('word'), 'x')
    const failing = kv
      .txn()
      .then(op.put(key('a'), 'v'), op.increment(key('word')), op.put(key('b'), 'v'))
      .run()
    await expect(failing).rejects.toMatchObject({ code: 'NOT_A_NUMBER', outcome: 'not-applied', operation: 2 })
    const unmet = kv
      .txn()
      .then(op.put(key('a'), 'v'), op.delete(key('word'), { ifVersion: 99n }))
      .run()
    await expect(unmet).rejects.toMatchObject({
      code: 'PRECONDITION_FAILED',
      operation: 2,
      version: expect.any(BigInt),
    })
    const large = kv
      .txn()
      .then(op.put(key('a'), Buffer.alloc(20_000)), op.get(key('a')))
      .run()
    await expect(large).rejects.toMatchObject({ code: 'TOO_LARGE', outcome: 'not-applied', operation: 2 })
    const across = kv.txn().then(op.put('a', 'v'), op.put('b', 'v')).run()
    await expect(across).rejects.toMatchObject({ code: 'CROSS_SHARD', outcome: 'not-applied' })
    expect(await kv.get(key('a'))).toBeNull()
  })

  test('whoever reads while others transfer sees one sum', async () => {
    const kv = await connect(mode)
    const accounts = Array.from({ length: ACCOUNTS }, (_, at) => `{${mode}-bank}${at}`)
    const account = (at: number): string => accounts[at % ACCOUNTS] as string
    const transfer = async (at: number): Promise<void> => {
      for (let round = 0; round < ROUNDS; round++) {
        const [from, to] = [account(at), account(at + 1 + (round % (ACCOUNTS - 1)))]
        await kv.txn().then(op.increment(from, -5n), op.increment(to, 5n)).run()
      }
    }
    const read = async (): Promise<void> => {
      for (let round = 0; round < ROUNDS; round++) {
        const { results } = await kv
          .txn()
          .then(...accounts.map((name) => op.get(name)))
          .run()
        expect(results.map((hit) => Number(hit?.text() ?? 0)).reduce((sum, balance) => sum + balance)).toBe(0)
      }
    }
    await Promise.all([...Array.from({ length: LOOPS }, (_, at) => transfer(at)), read(), read()])
  })
})

test('over HTTP', async () => {
  const post = async (transaction: unknown) => {
    const response = await fetch(`http://${cluster.httpAddress}/v1/txn`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(transaction),
    })
    return [response.status, await response.json()]
  }
  const then = [
    { op: 'put', key: '{h}a', value: 'v' },
    { op: 'get', key: '{h}a' },
  ]
  const version = expect.any(String)
  const done = { succeeded: true, results: [{ version }, { found: true, value: 'v', version }] }
  expect(await post({ if: [{ key: '{h}a', comparison: '==', exists: false }], then })).toEqual([200, done])
  const across = [
    { op: 'get', key: 'a' },
    { op: 'get', key: 'b' },
  ]
  expect(await post({ then: across })).toEqual([400, expect.objectContaining({ code: 'CROSS_SHARD' })])
})
