import { type Clock, sleep } from '../core/clock.js'
import { KvError } from '../errors/index.js'
import type { KvLink, Links } from './links.js'
import type { Stored } from './meta-keys.js'

/** Where meta's leader is: for whoever runs its nodes a Group, for others a MetaWatch. */
export interface MetaReach {
  readonly shard: number
  readonly isReady: boolean
  readonly leader: { readonly address: string; readonly status: { readonly nodeId: string } | undefined } | undefined
  until(holds: () => boolean, signal: AbortSignal): Promise<void>
}

export interface MetaStoreDeps {
  readonly clusterId: string
  readonly meta: MetaReach
  readonly links: Links
  readonly clock: Clock
}

const ABSENT: Stored = { value: undefined, version: 0n }
const CALL_MS = 2_000
const RETRY_MS = 50

/**
 * The keys of meta. Every call goes on until meta has answered it, and rejects only when `signal` is aborted, with its
 * reason: a write that was cut off may have happened then, or may still do so.
 */
export class MetaStore {
  constructor(private readonly deps: MetaStoreDeps) {}

  async read(key: string, signal: AbortSignal): Promise<Stored> {
    const { found, value, version } = await this.#ask((kv) => kv.get(Buffer.from(key), { deadlineMs: CALL_MS }), signal)
    return found ? { value, version } : ABSENT
  }

  /** Writes over that version of the key. Undefined when another write came first, else the new version. */
  async replace(key: string, value: Uint8Array, version: bigint, signal: AbortSignal): Promise<bigint | undefined> {
    const write = async (kv: KvLink) => {
      const before = await kv.get(Buffer.from(key), { deadlineMs: CALL_MS })
      const has = before.found ? before.version : ABSENT.version
      // A try before this one whose answer was lost.
      if (has > version && same(before.value, value)) return has
      if (has !== version) return undefined
      return (await kv.put(Buffer.from(key), value, { deadlineMs: CALL_MS, ifVersion: version })).version
    }
    return this.#ask(write, signal)
  }

  /** Removes that version of the key. Says whether it is gone; not when another write came first. */
  async remove(key: string, version: bigint, signal: AbortSignal): Promise<boolean> {
    const write = async (kv: KvLink) => {
      const before = await kv.get(Buffer.from(key), { deadlineMs: CALL_MS })
      if (!before.found) return true
      if (before.version !== version) return false
      await kv.delete(Buffer.from(key), { deadlineMs: CALL_MS, ifVersion: version })
      return true
    }
    return this.#ask(write, signal)
  }

  async #ask<T>(call: (kv: KvLink) => Promise<T>, signal: AbortSignal): Promise<T> {
    const { meta, clusterId, links, clock } = this.deps
    for (;;) {
      signal.throwIfAborted()
      await meta.until(() => meta.isReady, signal)
      const { leader } = meta
      const peer = { cluster: clusterId, shard: meta.shard, node: leader?.status?.nodeId }
      const kv = links.kv(leader?.address ?? '', peer)
      try {
        return await call(kv)
      } catch (error) {
        // Another leader, a lost answer, somebody else's write: all of them show when it is read again.
        if (!(error instanceof KvError)) throw error
        await sleep(clock, RETRY_MS, signal)
      } finally {
        kv.close()
      }
    }
  }
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0
}
