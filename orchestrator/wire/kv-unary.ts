import { type Clock, systemClock } from '../core/clock.js'
import type { ClusterMap } from '../core/topology.js'
import { Channel } from './channel.js'
import { clusterMapFromWire } from './cluster-map.js'
import { type DeleteResponse, type GetResponse, KVService, type PutResponse } from './gen/kvorum/v1/kv.js'
import type { PeerIdentity } from './peer.js'

export interface KvCallOptions {
  readonly deadlineMs: number
  /** Applies only if the key's version is this one; 0 means absent. */
  readonly ifVersion?: bigint
  /** Of a get: any node may answer, within this bound of staleness. */
  readonly staleMs?: number
}

/**
 * Single calls of kvorum.v1.KV with one peer, for control and tools: no batching, no retry, no search for a leader. The
 * data path uses lanes.
 */
export class KvUnary {
  readonly #channel: Channel

  constructor(
    readonly address: string,
    clock: Clock = systemClock,
    peer?: PeerIdentity,
  ) {
    this.#channel = new Channel(address, clock, peer)
  }

  get(key: Uint8Array, { deadlineMs, staleMs }: KvCallOptions): Promise<GetResponse> {
    return this.#channel.unary(KVService.get, { key, staleMs }, 'read', deadlineMs)
  }

  put(key: Uint8Array, value: Uint8Array, { deadlineMs, ifVersion }: KvCallOptions): Promise<PutResponse> {
    return this.#channel.unary(KVService.put, { key, value, ifVersion }, 'write', deadlineMs)
  }

  delete(key: Uint8Array, { deadlineMs, ifVersion }: KvCallOptions): Promise<DeleteResponse> {
    return this.#channel.unary(KVService.delete, { key, ifVersion }, 'write', deadlineMs)
  }

  /** The cluster map now and every newer one (gateways only), until `signal` is aborted. Throws when it breaks. */
  async *clusterMap(signal: AbortSignal): AsyncGenerator<ClusterMap> {
    for await (const { map } of this.#channel.stream(KVService.clusterMap, {}, signal)) yield clusterMapFromWire(map)
  }

  close(): void {
    this.#channel.close()
  }
}
