// A partition moves while clients of every kind append to a key of it: nobody fails, and every append is there once.
import { afterEach, describe, expect, test } from 'vitest'
import { KvClient } from './kv-client.js'
import { RequestWrapper } from './request-wrapper.js'
import { KEY, MovingCluster } from './testing/moving-cluster.js'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

interface Client {
  get(key: string): Promise<unknown>
  append(key: string, token: string): Promise<unknown>
}

/** All clients that go on at once, each call of which must succeed. */
class Load {
  readonly acknowledged: string[] = []
  readonly failures: unknown[] = []
  reads = 0
  #over = false
  readonly #workers: readonly Promise<void>[]

  constructor(client: Client, workers: number) {
    const appenders = Array.from({ length: workers }, (_, at) => this.#append(client, `w${at}`))
    this.#workers = [...appenders, this.#read(client)]
  }

  async stop(): Promise<void> {
    this.#over = true
    await Promise.all(this.#workers)
  }

  async #append(client: Client, name: string): Promise<void> {
    for (let turn = 0; !this.#over; turn++) {
      const token = `${name}.${turn};`
      await client.append(KEY, token).then(
        () => this.acknowledged.push(token),
        (error: unknown) => this.failures.push(error),
      )
    }
  }

  async #read(client: Client): Promise<void> {
    for (; !this.#over; this.reads++) await client.get(KEY).catch((error: unknown) => this.failures.push(error))
  }
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise(setImmediate)
}

const WAYS: Record<string, (address: string) => Promise<Client & { close(): unknown }>> = {
  direct: (address) => KvClient.connect({ endpoints: [address], mode: 'direct' }),
  'auto, with nodes out of reach': (address) => KvClient.connect({ endpoints: [address], mode: 'auto' }),
  gateway: (address) => KvClient.connect({ endpoints: [address], mode: 'gateway' }),
  RequestWrapper: (address) => Promise.resolve(new RequestWrapper(address)),
}

async function begin(way: string) {
  const cluster = await MovingCluster.start({ remote: way.startsWith('auto') })
  cleanups.push(() => cluster.close())
  const client = await (WAYS[way] as (address: string) => Promise<Client & { close(): unknown }>)(
    cluster.gateway.address,
  )
  cleanups.push(() => client.close())
  const load = new Load(client, 8)
  cleanups.push(() => load.stop())
  const more = (appends: number): Promise<void> => {
    const enough = load.acknowledged.length + appends
    return until(() => load.acknowledged.length >= enough || load.failures.length > 0)
  }
  const refused = (code: 'MOVING' | 'WRONG_SHARD', times: number): Promise<void> => {
    const enough = cluster.giver.refused[code] + times
    return until(() => cluster.giver.refused[code] >= enough || load.failures.length > 0)
  }
  await more(20)
  return { cluster, load, more, refused }
}

describe.each(Object.keys(WAYS))('%s', (way) => {
  test.each([
    ['the gateway', 'clients'],
    ['clients', 'the gateway'],
  ])('nobody fails while a partition moves, and then its shard goes; %s know it first', async (first) => {
    const { cluster, load, more, refused } = await begin(way)
    cluster.giver.loses = 'answer'
    await until(() => cluster.giver.loses === undefined)
    cluster.giver.ownership = 'frozen'
    await refused('MOVING', 3)
    cluster.giver.loses = 'write'
    await until(() => cluster.giver.loses === undefined)
    Object.assign(cluster.giver, { ownership: 'none', epoch: 2n })
    await refused('WRONG_SHARD', 3)
    Object.assign(cluster.receiver, { ownership: 'owned', epoch: 2n })
    if (first === 'clients') {
      cluster.tellClients(2n)
      await more(20)
      cluster.tellGateway(2n)
    } else {
      cluster.tellGateway(2n)
      await refused('WRONG_SHARD', 3)
      cluster.tellClients(2n)
    }
    const { reads } = load
    await more(20)
    await until(() => load.reads > reads)
    cluster.tellGateway(3n)
    await more(20)
    cluster.tellClients(3n)
    await more(20)
    await load.stop()
    expect(load.failures).toEqual([])
    expect([...cluster.tokens].sort()).toEqual([...load.acknowledged].sort())
    expect([cluster.giver, cluster.receiver].map(({ refused }) => refused.SESSION_EXPIRED)).toEqual([0, 0])
  })
})
