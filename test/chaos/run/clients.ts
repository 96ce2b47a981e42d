// The clients of a run. They live as long as it does: one that is well after an hour of failures is part of the promise.
import type { ClusterMap } from '../../../orchestrator/core/topology.js'
import type { LongestGap } from '../service/gaps.js'
import { ServiceProbe } from '../traffic/probe.js'
import type { Watcher } from '../traffic/recorder.js'
import { compat, kvClient, requestWrapper, type Way } from '../traffic/ways.js'

interface Parts {
  readonly endpoints: readonly string[]
  readonly workers: readonly Way[]
  readonly stale: readonly Way[]
  readonly last: readonly Way[]
  readonly probes: readonly ServiceProbe[]
  readonly all: readonly Way[]
}

export class Clients {
  /** One for each worker: some workers share a client. */
  readonly workers: readonly Way[]
  /** For reads with a bound of staleness. */
  readonly stale: readonly Way[]
  /** One past the gateway, one through it: for the last reads, and for a light run. */
  readonly last: readonly Way[]
  /** Gateways that they know. */
  readonly endpoints: readonly string[]
  readonly #probes: readonly ServiceProbe[]
  readonly #all: readonly Way[]

  /** The compat service's client knows one endpoint only: the last. */
  static async open(endpoints: readonly string[], map: ClusterMap, watch: Watcher): Promise<Clients> {
    const opened: Way[] = []
    const open = async (way: Way | Promise<Way>): Promise<Way> => {
      opened.push(await way)
      return way
    }
    try {
      const direct = await open(kvClient('direct', endpoints, 'direct'))
      const auto = await open(kvClient('auto', endpoints, 'auto'))
      const gateway = await open(kvClient('gateway', endpoints, 'gateway'))
      const wrappers = [
        await open(requestWrapper('wrapper-1', endpoints)),
        await open(requestWrapper('wrapper-2', endpoints)),
      ]
      const old = await open(compat('compat', endpoints.at(-1) ?? ''))
      const workers = [direct, direct, direct, auto, gateway, gateway, ...wrappers, ...wrappers, old, old]
      // Of their own, so that nothing waits behind other calls.
      const probes = [
        await open(kvClient('direct', endpoints, 'direct')),
        await open(requestWrapper('gateway', endpoints)),
      ].flatMap((way) => map.shards.map(({ id }) => new ServiceProbe(id, way, map, watch)))
      return new Clients({
        endpoints,
        workers,
        stale: [direct, auto, gateway],
        last: [direct, ...wrappers.slice(0, 1)],
        probes,
        all: opened,
      })
    } catch (error) {
      await Promise.all(opened.map((way) => way.close()))
      throw error
    }
  }

  private constructor(parts: Parts) {
    this.endpoints = parts.endpoints
    this.workers = parts.workers
    this.stale = parts.stale
    this.last = parts.last
    this.#probes = parts.probes
    this.#all = parts.all
  }

  readonly longestGapMs: LongestGap = (way, shard, from, to) => {
    const probe = this.#probes.find((one) => one.shard === shard && one.way.name === way)
    // A shard that has come since, for a while.
    if (probe === undefined) return 0
    return probe.longestGapMs(from, to, performance.now())
  }

  /** Resolves when every shard has taken a put by every way after now. */
  async served(signal: AbortSignal): Promise<void> {
    await Promise.all(this.#probes.map((probe) => probe.nextSuccess(signal)))
  }

  forget(beforeMs: number): void {
    for (const probe of this.#probes) probe.forget(beforeMs)
  }

  /** Gives up what is in flight. */
  async close(): Promise<void> {
    const stopped = this.#probes.map((probe) => probe.stop())
    await Promise.all(this.#all.map((way) => way.close()))
    await Promise.all(stopped)
  }
}
