// npm run bench -- deletion [--keys 100000] [--rate 2000] [--shards 3] [--replicas 3]
// Deletes a prefix under a load of a fixed rate, and shows how fast that goes and how long the calls took meanwhile.
import { readOptions, wholeNumber } from '../../orchestrator/cli/flags.js'
import type { KvClient } from '../../orchestrator/client/index.js'
import { besideTraffic, type Scene, type TrafficFlags, trafficCommand } from '../load/beside-traffic.js'

interface Flags extends TrafficFlags {
  readonly keys: number
}

const FILL_AT_ONCE = 4_096
const PREFIX = 'gone:'
const VALUE = Buffer.alloc(64)

function readFlags(): Flags {
  const command = trafficCommand('deletion', 'A prefix is deleted', 2_000)
  return readOptions(command.option('--keys <count>', 'to be deleted', wholeNumber(1, 10_000_000), 100_000))
}

async function deletePrefix({ clients }: Scene) {
  const { deleted } = await clients.direct.deletePrefix(PREFIX)
  return (tookMs: number) => {
    const perSecond = Math.round((deleted / tookMs) * 1_000)
    return [`${deleted} keys were deleted in ${(tookMs / 1_000).toFixed(1)} s: ${perSecond}/s`]
  }
}

async function fill(client: KvClient, keys: number): Promise<void> {
  for (let from = 0; from < keys; from += FILL_AT_ONCE) {
    const batch = client.batch<unknown[] & never[]>()
    for (let at = from; at < Math.min(keys, from + FILL_AT_ONCE); at++) {
      batch.put(`${PREFIX}${String(at).padStart(9, '0')}`, VALUE)
    }
    await batch.run()
  }
}

const flags = readFlags()
await besideTraffic(flags, {
  name: 'deletion',
  warmMs: 5_000,
  prepare: ({ clients }) => fill(clients.direct, flags.keys),
  work: deletePrefix,
})
