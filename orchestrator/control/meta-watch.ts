import { type Clock, sleep } from '../core/clock.js'
import type { NodeInfo } from '../core/topology.js'
import { newestLeader } from '../wire/leading.js'
import type { NodeStatus } from '../wire/node-admin.js'
import { Changes } from './changes.js'
import type { Links } from './links.js'
import type { MetaReach } from './meta-store.js'

export interface MetaWatchDeps {
  readonly clusterId: string
  readonly links: Links
  readonly clock: Clock
}

const META = 0
const RETRY_MS_MIN = 20
const RETRY_MS_MAX = 500

/** Meta's leader for an orchestrator that does not run its nodes: as these tell it. `close` it. */
export class MetaWatch implements MetaReach {
  readonly shard = META
  readonly #deps: MetaWatchDeps
  readonly #nodes = new Map<string, Watched>()
  readonly #changes = new Changes()

  constructor(deps: MetaWatchDeps, members: readonly NodeInfo[]) {
    this.#deps = deps
    this.update(members)
  }

  get members(): readonly NodeInfo[] {
    return [...this.#nodes.values()].map(({ info }) => info)
  }

  get leader(): { readonly address: string; readonly status: NodeStatus | undefined } | undefined {
    const newest = newestLeader(this.#nodes.values())
    return newest === undefined ? undefined : { address: newest.info.address, status: newest.status }
  }

  get isReady(): boolean {
    return this.leader?.status?.ready ?? false
  }

  /** Where its nodes are now. Those of which nothing new is said are watched on. */
  update(members: readonly NodeInfo[]): void {
    const wanted = new Map(members.map((info) => [info.id, info]))
    for (const [id, node] of this.#nodes) {
      if (wanted.get(id)?.address === node.info.address) continue
      node.stop.abort()
      this.#nodes.delete(id)
    }
    for (const info of members) {
      if (this.#nodes.has(info.id)) continue
      const node: Watched = { info, stop: new AbortController(), status: undefined, over: Promise.resolve() }
      this.#nodes.set(info.id, node)
      node.over = this.#watch(node)
    }
    this.#tell()
  }

  until(holds: () => boolean, signal: AbortSignal): Promise<void> {
    return this.#changes.until(holds, signal)
  }

  async close(): Promise<void> {
    const nodes = [...this.#nodes.values()]
    for (const { stop } of nodes) stop.abort()
    await Promise.all(nodes.map(({ over }) => over))
  }

  async #watch(node: Watched): Promise<void> {
    const { links, clusterId, clock } = this.#deps
    const { info, stop } = node
    let pauseMs = RETRY_MS_MIN
    while (!stop.signal.aborted) {
      const link = links.node(info.address, { cluster: clusterId, shard: META, node: info.id })
      try {
        for await (const status of link.watch(stop.signal)) {
          node.status = status
          pauseMs = RETRY_MS_MIN
          this.#tell()
        }
      } catch {
        // It is down, paused or somebody else: tried again.
      }
      node.status = undefined
      link.close()
      this.#tell()
      await sleep(clock, pauseMs, stop.signal).catch(() => {})
      pauseMs = Math.min(RETRY_MS_MAX, pauseMs * 1.5)
    }
  }

  #tell(): void {
    this.#changes.tell()
  }
}

interface Watched {
  readonly info: NodeInfo
  readonly stop: AbortController
  status: NodeStatus | undefined
  /** Never rejects. */
  over: Promise<void>
}
