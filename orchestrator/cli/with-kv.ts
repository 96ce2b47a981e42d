import { KvClient } from '../client/index.js'
import { type Clock, systemClock } from '../core/clock.js'
import type { Connection } from './context.js'

/** Does a command's work with a KvClient of its own: one that talks to the nodes where it can reach them, and else through the gateway. */
export async function withNearKv<T>(
  { address, timeoutMs }: Connection,
  work: (kv: KvClient) => Promise<T>,
): Promise<T> {
  const kv = await KvClient.connect({ endpoints: [address], deadlineMs: timeoutMs })
  try {
    return await work(kv)
  } finally {
    await kv.close()
  }
}

/** What is left of a command's time, for each thing that it asks. */
export interface Left {
  readonly deadlineMs: number
}

/**
 * Does a command's work with a KvClient of its own. All goes through the gateway, as with `withClient`: from where a person sits
 * the nodes may be out of reach, and to find that out would take longer than the command.
 */
export async function withKv<T>(
  { address, timeoutMs }: Connection,
  work: (kv: KvClient, left: () => Left) => Promise<T>,
  clock: Clock = systemClock,
): Promise<T> {
  const began = clock.monotonic()
  const left = () => ({ deadlineMs: timeoutMs - (clock.monotonic() - began) })
  const kv = await KvClient.connect({ endpoints: [address], mode: 'gateway', deadlineMs: timeoutMs })
  try {
    return await work(kv, left)
  } finally {
    await kv.close({ drainMs: 0 })
  }
}
