import { Cluster, type Redis } from 'ioredis'
import type { PeerClient } from './open.js'
import { slotOf } from './redis-slot.js'
import { WaitingPuts } from './redis-wait.js'

/** Pipelining of what one turn of the event loop asks for is an option of ioredis, and the fast way to use it. */
async function openCluster(addresses: readonly string[]): Promise<Cluster> {
  const nodes = addresses.map((address) => {
    const [host = '', port] = address.split(':')
    return { host, port: Number(port) }
  })
  const cluster = new Cluster(nodes, { enableAutoPipelining: true, scaleReads: 'master', lazyConnect: true })
  await cluster.connect()
  return cluster
}

async function lengthOf(cluster: Cluster, key: string): Promise<number | undefined> {
  return (await cluster.getBuffer(key))?.byteLength
}

/** Acknowledged when the master alone has it on disk. */
export async function openRedis(addresses: readonly string[]): Promise<PeerClient> {
  const cluster = await openCluster(addresses)
  return {
    put: (key, value) => cluster.set(key, value),
    get: (key) => lengthOf(cluster, key),
    close: async () => cluster.disconnect(),
  }
}

/** Acknowledged when a replica has it too. Gets have connections of their own: a WAIT holds up all that is behind it. */
export async function openRedisWait(addresses: readonly string[]): Promise<PeerClient> {
  const cluster = await openCluster(addresses)
  return waiting(cluster, (key) => lengthOf(cluster, key))
}

/** The same on one connection to each master, as a client of any language would use it who has not thought of that. */
export async function openRedisWaitOne(addresses: readonly string[]): Promise<PeerClient> {
  const cluster = await openCluster(addresses)
  return waiting(cluster, async (key, masterOf) => (await masterOf(key).own.getBuffer(key))?.byteLength)
}

interface Master {
  readonly own: Redis
  readonly puts: WaitingPuts
}

function waiting(
  cluster: Cluster,
  get: (key: string, masterOf: (key: string) => Master) => Promise<number | undefined>,
): PeerClient {
  const masters = new Map(
    cluster.nodes('master').map((node): [string, Master] => {
      const own = node.duplicate({ lazyConnect: false, enableAutoPipelining: true })
      return [`${node.options.host}:${node.options.port}`, { own, puts: new WaitingPuts(own) }]
    }),
  )
  const masterOf = (key: string): Master => {
    const master = masters.get(cluster.slots[slotOf(key)]?.[0] ?? '')
    if (master === undefined) throw new Error(`no master for the slot of ${key}`)
    return master
  }
  return {
    put: async (key, value) => masterOf(key).puts.put(key, value),
    get: (key) => get(key, masterOf),
    close: async () => {
      for (const { own } of masters.values()) own.disconnect()
      cluster.disconnect()
    },
  }
}
