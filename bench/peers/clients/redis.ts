import { Cluster } from 'ioredis'
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
  const masters = new Map(
    cluster.nodes('master').map((node) => {
      const own = node.duplicate({ lazyConnect: false, enableAutoPipelining: false })
      return [`${node.options.host}:${node.options.port}`, { own, puts: new WaitingPuts(own) }]
    }),
  )
  return {
    put: async (key, value) => {
      const master = masters.get(cluster.slots[slotOf(key)]?.[0] ?? '')
      if (master === undefined) throw new Error(`no master for the slot of ${key}`)
      await master.puts.put(key, value)
    },
    get: (key) => lengthOf(cluster, key),
    close: async () => {
      for (const { own } of masters.values()) own.disconnect()
      cluster.disconnect()
    },
  }
}
