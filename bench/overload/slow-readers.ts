import { RequestWrapper } from '../../orchestrator/client/index.js'
import { operationToWire } from '../../orchestrator/wire/convert.js'
import { BatchRequest } from '../../orchestrator/wire/gen/kvorum/v1/kv.js'
import type { Cluster } from '../../test/harness/cluster.js'
import { FloodStream } from '../../test/harness/flood.js'

const VALUE_BYTES = 1 << 20
const GETS = 3

export interface SlowReaders {
  /** How many values were asked for in messages that the transport took. */
  asked(): number
  close(): void
}

/** Streams that ask for values of 1 MiB without end, and read no answer. */
export async function slowReaders(cluster: Cluster, address: string, streams: number): Promise<SlowReaders> {
  const wrapper = new RequestWrapper(cluster.address)
  await wrapper.put('slow', 'v'.repeat(VALUE_BYTES))
  wrapper.close()
  const operations = Array.from({ length: GETS }, () => operationToWire({ kind: 'get', key: Buffer.from('slow') }))
  let id = 0n
  const next = (): Uint8Array =>
    BatchRequest.encode({ id: ++id, epoch: 0n, timeoutMs: 60_000, operations, sessions: [] }).finish()
  const all = Array.from({ length: streams }, () => new FloodStream({ address, next }))
  for (const stream of all) stream.push()
  return {
    asked: () => all.reduce((sum, { written }) => sum + written * GETS, 0),
    close: () => {
      for (const stream of all) stream.close()
    },
  }
}
