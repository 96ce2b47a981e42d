// Every client behind one face. Only the one that is asked for is loaded: the others' code must not be in the process.

export interface PeerClient {
  /** Rejects unless the write was acknowledged. */
  put(key: string, value: Buffer): Promise<unknown>
  /** The length of the value in bytes, or undefined without one. */
  get(key: string): Promise<number | undefined>
  close(): Promise<void>
}

type Open = (addresses: readonly string[]) => Promise<PeerClient>

const CLIENTS = {
  direct: async () => (await import('./kvorum.js')).openDirect,
  gateway: async () => (await import('./kvorum.js')).openGateway,
  compat: async () => (await import('./kvorum.js')).openCompat,
  etcd: async () => (await import('./etcd.js')).openEtcd,
  redis: async () => (await import('./redis.js')).openRedis,
  redisWait: async () => (await import('./redis.js')).openRedisWait,
  redisWaitOne: async () => (await import('./redis.js')).openRedisWaitOne,
  nats: async () => (await import('./nats.js')).openNats,
} satisfies Readonly<Record<string, () => Promise<Open>>>

export type ClientName = keyof typeof CLIENTS

export async function openClient(name: ClientName, addresses: readonly string[]): Promise<PeerClient> {
  const open: Open = await CLIENTS[name]()
  return open(addresses)
}
