import { Etcd3 } from 'etcd3'
import type { PeerClient } from './open.js'

/** As the client comes: it spreads calls over the members, and its gets are linearizable. */
export async function openEtcd(addresses: readonly string[]): Promise<PeerClient> {
  const client = new Etcd3({ hosts: addresses.map((address) => `http://${address}`) })
  return {
    put: (key, value) => client.put(key).value(value).exec(),
    get: async (key) => (await client.get(key).buffer())?.byteLength,
    close: async () => client.close(),
  }
}
