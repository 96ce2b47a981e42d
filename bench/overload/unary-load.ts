// Puts by the compat service: as many calls at once as there are callers, each followed by the next as soon as it is
// answered, whatever the answer.
import { Channel } from '../../orchestrator/wire/channel.js'
import { KVStoreService } from '../../orchestrator/wire/gen/kvstore.js'
import { Counter } from './counter.js'
import type { Load, Tally } from './protocol.js'

const DEADLINE_MS = 5000
/** Calls of one connection: more wait on this side. */
const CALLS_PER_CHANNEL = 500

export async function unaryLoad(load: Load): Promise<Tally> {
  const counter = new Counter()
  const channels = Array.from({ length: Math.ceil(load.streams / CALLS_PER_CHANNEL) }, () => new Channel(load.address))
  const value = 'v'.repeat(load.valueBytes)
  const end = performance.now() + load.seconds * 1000
  const caller = async (index: number): Promise<void> => {
    const channel = channels[index % channels.length]
    const key = `${load.prefix}-${index}`
    while (channel !== undefined && performance.now() < end) await put(channel, key, value, counter)
  }
  await Promise.all(Array.from({ length: load.streams }, (_, index) => caller(index)))
  for (const channel of channels) channel.close()
  counter.offered = counter.written
  return counter.tally()
}

async function put(channel: Channel, Key: string, Value: string, counter: Counter): Promise<void> {
  const began = performance.now()
  counter.written++
  try {
    const { Success, Error: words } = await channel.unary(KVStoreService.put, { Key, Value }, 'write', DEADLINE_MS)
    const ms = performance.now() - began
    if (Success) counter.answered(ms, 1, 0, () => Key)
    else if (words.startsWith('OVERLOADED')) counter.answered(ms, 0, 1, () => Key)
    else counter.failed(1, words)
  } catch (error) {
    counter.failed(1, String(error))
  }
}
