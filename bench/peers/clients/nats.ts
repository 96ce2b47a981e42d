import { Kvm } from '@nats-io/kv'
import { connect } from '@nats-io/transport-node'
import { BUCKET } from '../systems/nats.js'
import type { PeerClient } from './open.js'

/** The bucket says by itself that gets go to its leader. */
export async function openNats(addresses: readonly string[]): Promise<PeerClient> {
  const connection = await connect({ servers: [...addresses] })
  const bucket = await new Kvm(connection).open(BUCKET)
  return {
    put: (key, value) => bucket.put(key, value),
    get: async (key) => (await bucket.get(key))?.value.byteLength,
    close: () => connection.close(),
  }
}
