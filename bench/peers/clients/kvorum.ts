import { KvClient } from '../../../orchestrator/client/index.js'
import { openClient } from '../../client.js'
import type { PeerClient } from './open.js'

export function openDirect(addresses: readonly string[]): Promise<PeerClient> {
  return openKv('direct', addresses)
}

export function openGateway(addresses: readonly string[]): Promise<PeerClient> {
  return openKv('gateway', addresses)
}

async function openKv(mode: 'direct' | 'gateway', endpoints: readonly string[]): Promise<PeerClient> {
  const client = await KvClient.connect({ endpoints, mode })
  return {
    put: (key, value) => client.put(key, value),
    get: async (key) => (await client.get(key))?.value.byteLength,
    close: () => client.close(),
  }
}

/** One unary gRPC call for each operation. The service is text only; every byte of the values is one character. */
export async function openCompat([address = '']: readonly string[]): Promise<PeerClient> {
  const client = openClient('compat', address)
  return {
    put: (key, value) => client.run('put', key, value.toString('latin1')),
    get: async (key) => {
      const value = await client.run('get', key, '')
      return typeof value === 'string' ? Buffer.byteLength(value) : undefined
    },
    close: async () => client.close(),
  }
}
