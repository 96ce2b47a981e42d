import type { Clock } from '../core/clock.js'
import type { Limits } from '../core/limits.js'
import { isPlaced, type Operation } from '../core/operation.js'
import type { Rng } from '../core/rng.js'
import { type ClusterMap, shardOf } from '../core/topology.js'
import type { KvError } from '../errors/index.js'
import type { Call, Done } from '../store/call.js'
import { performOn } from '../store/execute.js'
import { Executor, type Router } from '../store/executor.js'
import { Sessions } from '../store/sessions.js'
import { Shard } from '../store/shard.js'
import type { Engine } from './front.js'
import type { MapWatcher } from './map-watcher.js'

export interface GatewayOptions {
  /** host:port, at least one. The first that can be reached is asked, as long as it can be. */
  readonly endpoints: readonly string[]
  /** For the shards of writes; closed with this. */
  readonly maps: MapWatcher
  readonly limits: Limits
  readonly clock: Clock
  readonly rng: Rng
}

/**
 * Everything goes to one gateway: to its clients it is a shard without nodes, which is reached through gateways only. The
 * numbers of writes are for the shards behind it, so the first write waits for the cluster map.
 */
export class Gateway implements Engine, Router {
  readonly #executor: Executor
  readonly #shard: Shard
  readonly #sessions: Sessions
  readonly #maps: MapWatcher
  /** The newest that calls were routed by. */
  #map: ClusterMap | undefined
  /** Writes that wait for the first map. */
  readonly #unmapped = new Set<Call>()

  constructor({ endpoints, maps, limits, clock, rng }: GatewayOptions) {
    const tools = { limits, clock, rng }
    const executor = new Executor(this, tools)
    this.#executor = executor
    this.#sessions = new Sessions({ executor, rng, deadlineMs: limits.deadlineMs })
    this.#maps = maps
    this.#map = maps.current
    maps.listen({
      changed: () => this.#mapped(),
      failed: (error) => {
        for (const call of this.#unmapped) call.lastError = error
      },
    })
    this.#shard = new Shard(
      { id: 0, nodes: [] },
      {
        gateways: { addresses: endpoints, trusts: (address) => maps.trusts(address) },
        lane: {
          ...tools,
          epoch: () => this.#map?.epoch ?? 0n,
          stallMs: Number.POSITIVE_INFINITY,
          patienceMs: Number.POSITIVE_INFINITY,
        },
        park: (call) => executor.park(call),
        release: (call) => executor.release(call),
        refreshMap: () => {},
        onEvent: () => {},
      },
    )
  }

  perform(operation: Operation, deadlineMs: number, signal: AbortSignal | undefined, done: Done): void {
    performOn(this.#executor, operation, deadlineMs, signal, done)
  }

  route(call: Call): void {
    if (!call.needsStamp || this.#stamp(call)) this.#shard.route(call)
  }

  learn(call: Call, error: KvError): boolean {
    if (error.code === 'SESSION_EXPIRED') {
      this.#sessions.expired(call)
      return true
    }
    // Its number is answered for: the write takes one of the new owner, which a newer map tells.
    if (error.code === 'WRONG_SHARD' && error.epoch !== undefined)
      this.#maps.refresh(this.#newerThan(call, error.epoch))
    return call.node !== undefined && this.#shard.learn(call, call.node, error)
  }

  forget(call: Call): void {
    this.#unmapped.delete(call)
    this.#sessions.forget(call)
    this.#shard.forget(call)
  }

  close(): void {
    this.#maps.close()
    this.#executor.close()
    this.#shard.close()
  }

  /** The epoch to look for: one that is newer than ours if the map would send the write there again. */
  #newerThan({ stamp, operation }: Call, seen: bigint): bigint {
    const map = this.#map
    if (map === undefined || stamp?.session.shard !== shardFor(map, operation) || seen > map.epoch) return seen
    return map.epoch + 1n
  }

  #stamp(call: Call): boolean {
    this.#maps.start()
    if (this.#map !== undefined) return this.#sessions.stamp(call, shardFor(this.#map, call.operation))
    this.#unmapped.add(call)
    this.#executor.park(call)
    return false
  }

  #mapped(): void {
    const [before, map] = [this.#map, this.#maps.current]
    if (map === undefined || map === before) return
    this.#map = map
    this.#executor.reroute((call) => {
      const { operation } = call
      return before === undefined ? this.#unmapped.has(call) : shardFor(map, operation) !== shardFor(before, operation)
    })
    this.#sessions.retain(new Set(map.shards.map(({ id }) => id)))
  }
}

/** Whose number a write takes. */
function shardFor(map: ClusterMap, operation: Operation): number {
  return isPlaced(operation) ? operation.shard : shardOf(map, operation.key)
}
