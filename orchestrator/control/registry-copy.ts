import type { Clock } from '../core/clock.js'
import type { Rng } from '../core/rng.js'
import type { Telemetry } from '../telemetry/index.js'
import { Changes } from './changes.js'
import { NotHolder } from './faults.js'
import type { MetaKeys } from './meta-keys.js'
import type { Registry } from './registry.js'
import {
  CLUSTER_ROW,
  type ClusterRow,
  type Content,
  contentsOf,
  decodeClusterRow,
  decodeGroupRow,
  encodeRow,
  type GroupRow,
  groupRow,
  idsOf,
} from './registry-rows.js'
import { Rounds } from './rounds.js'

export interface CopyDeps {
  readonly registry: Registry
  /** Of the holder: nothing is written by anybody else. */
  readonly store: MetaKeys
  readonly rng: Rng
  readonly clock: Clock
  readonly telemetry: Telemetry
}

/** A row as it is in meta. */
interface There<R> {
  readonly row: R | undefined
  readonly version: bigint
}

interface AllThere {
  cluster: There<ClusterRow>
  readonly groups: There<GroupRow>[]
}

const RETRY_MS = 500

/**
 * Keeps what meta has of the registry up to date with it, as long as this orchestrator holds the lease. The registry is written
 * first; whoever is about to do what its next holder must know of waits for `settled`.
 */
export class RegistryCopy {
  readonly #deps: CopyDeps
  readonly #rounds: Rounds
  readonly #changes = new Changes()
  readonly #over = new AbortController()
  #there: AllThere | undefined
  /** How often the registry was written, and how much of that meta has. */
  #written = 1
  #carried = 0

  constructor(deps: CopyDeps) {
    this.#deps = deps
    this.#rounds = new Rounds({
      work: (signal) => this.#carry(signal),
      failed: (error) => this.#stumbled(error),
      pauseMs: RETRY_MS,
      clock: deps.clock,
    })
    deps.registry.onWrite = () => {
      this.#written++
      this.#rounds.ask()
    }
  }

  /** Waits until meta has everything that the registry has now. Rejects when that will not be, or `signal` is aborted. */
  async settled(signal?: AbortSignal): Promise<void> {
    const written = this.#written
    const over = this.#over.signal
    this.#rounds.ask()
    await this.#changes.until(
      () => this.#carried >= written,
      signal === undefined ? over : AbortSignal.any([signal, over]),
    )
  }

  async close(): Promise<void> {
    this.#deps.registry.onWrite = () => {}
    this.#over.abort(new Error('the orchestrator stops'))
    await this.#rounds.close()
  }

  /** The cluster's row before those that it is the first to name; the first time again behind them, when it is whole. */
  async #carry(signal: AbortSignal): Promise<void> {
    const { registry } = this.#deps
    const written = this.#written
    const cluster = await registry.cluster()
    if (cluster === undefined) return
    const there = this.#there ?? (await this.#read(signal))
    this.#there = there
    const [groups, nodes, drained] = [await registry.groups(), await registry.nodes(), await registry.drained()]
    const wanted = contentsOf({ cluster, groups, nodes, drained }, there.cluster.row?.last ?? 0)
    await this.#writeCluster(there, { ...wanted.cluster, whole: there.cluster.row?.whole ?? false }, signal)
    await Promise.all(wanted.groups.map((content) => this.#writeGroup(there, content, signal)))
    await this.#writeCluster(there, { ...wanted.cluster, whole: true }, signal)
    const ids = idsOf({ cluster: there.cluster.row, groups: there.groups.map(({ row }) => row) })
    await registry.setBases(ids)
    this.#carried = written
    this.#changes.tell()
  }

  /** What this holder writes over, of which its registry knew everything when it began. */
  async #read(signal: AbortSignal): Promise<AllThere> {
    const { store } = this.#deps
    const { value, version } = await store.read(CLUSTER_ROW, signal)
    const row = decodeClusterRow(value)
    const shards = row === undefined ? [] : Array.from({ length: row.last + 1 }, (_, shard) => shard)
    const groups = await Promise.all(
      shards.map(async (shard) => {
        const stored = await store.read(groupRow(shard), signal)
        return { row: decodeGroupRow(shard, stored.value), version: stored.version }
      }),
    )
    return { cluster: { row, version }, groups }
  }

  async #writeCluster(there: AllThere, content: Content<ClusterRow>, signal: AbortSignal): Promise<void> {
    there.cluster = await this.#write(CLUSTER_ROW, there.cluster, content, signal)
  }

  async #writeGroup(there: AllThere, content: Content<GroupRow>, signal: AbortSignal): Promise<void> {
    const { shard } = content
    // Of one that the cluster's row has named just now nothing can be there.
    const before = there.groups[shard] ?? { row: undefined, version: 0n }
    there.groups[shard] = await this.#write(groupRow(shard), before, content, signal)
  }

  async #write<R extends ClusterRow | GroupRow>(
    key: string,
    before: There<R>,
    content: Content<R>,
    signal: AbortSignal,
  ): Promise<There<R>> {
    const { store, rng } = this.#deps
    if (says(before.row, content)) return before
    const row = { ...content, id: rng.id() } as unknown as R
    const version = await store.replace(key, encodeRow(row), before.version, signal)
    if (version !== undefined) return { row, version }
    throw new Error(`${key} in meta is not what it was: it is read again`)
  }

  #stumbled(error: unknown): void {
    this.#there = undefined
    // Then it is the business of whoever has the lease.
    if (error instanceof NotHolder) this.#over.abort(error)
    else this.#deps.telemetry.emit('fault', { where: "the registry's copy in meta", error })
  }
}

function says<R extends ClusterRow | GroupRow>(row: R | undefined, content: Content<R>): boolean {
  if (row === undefined) return false
  const { id: _, ...has } = row
  return canonical(has) === canonical(content)
}

/** The same for the same content: absent and undefined are one, and the order of fields tells nothing. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) =>
    part === null || typeof part !== 'object' || Array.isArray(part)
      ? part
      : Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1))),
  )
}
