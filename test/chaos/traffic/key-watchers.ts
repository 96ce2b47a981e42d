// Watchers beside the traffic: one of the nodes, which goes on as long as it can, and one of the gateway, which ends its watch now and then and
// goes on from its token, as a client that was started again.
import { KvClient, type WatchEvent } from '../../../orchestrator/client/index.js'
import { CompactedError } from '../../../orchestrator/errors/index.js'
import type { HistoryLine } from '../model/format.js'
import { type Seen, watchFaults } from '../model/watched.js'

/** So many changes, and a watch ends. */
const EVENTS_PER_WATCH = 150
/** After the last write: everything was seen by then. */
const SEEN_MS_MAX = 20_000
const LOOK_MS = 50

class KeyWatcher {
  readonly mode: 'direct' | 'gateway'
  readonly seen = new Map<string, Seen[]>()
  #token: string | undefined
  readonly #client: KvClient
  readonly #prefix: string
  readonly #stop = new AbortController()
  #done: Promise<void> | undefined
  failure: unknown

  static async open(mode: 'direct' | 'gateway', endpoints: readonly string[], prefix: string): Promise<KeyWatcher> {
    const client = await KvClient.connect({ endpoints, mode, deadlineMs: 30_000 })
    const watcher = new KeyWatcher(mode, client, prefix)
    for await (const { token } of client.watch({ prefix }, { progress: true })) {
      watcher.#token = token
      break
    }
    watcher.#done = watcher.#run()
    return watcher
  }

  private constructor(mode: 'direct' | 'gateway', client: KvClient, prefix: string) {
    this.mode = mode
    this.#client = client
    this.#prefix = prefix
  }

  async close(): Promise<void> {
    this.#stop.abort()
    await this.#client.close({ drainMs: 0 })
    await this.#done
  }

  async #run(): Promise<void> {
    try {
      while (!this.#stop.signal.aborted) {
        let left = this.mode === 'gateway' ? EVENTS_PER_WATCH : Number.POSITIVE_INFINITY
        for await (const event of this.#client.watch(
          { prefix: this.#prefix },
          { from: this.#token, signal: this.#stop.signal },
        )) {
          this.#note(event)
          if (--left === 0) break
        }
      }
    } catch (error) {
      if (!this.#stop.signal.aborted) this.failure = error
    }
  }

  #note(event: WatchEvent): void {
    const key = Buffer.from(event.key).toString()
    const value = event.type === 'put' ? Buffer.from(event.value).toString() : ''
    const events = this.seen.get(key) ?? []
    events.push({ type: event.type, value, version: Number(event.version) })
    this.seen.set(key, events)
    this.#token = event.token
  }
}

export class KeyWatchers {
  readonly #watchers: readonly KeyWatcher[]

  /** They have begun when it resolves. */
  static async open(endpoints: readonly string[], prefix: string): Promise<KeyWatchers> {
    return new KeyWatchers([
      await KeyWatcher.open('direct', endpoints, prefix),
      await KeyWatcher.open('gateway', endpoints, prefix),
    ])
  }

  private constructor(watchers: readonly KeyWatcher[]) {
    this.#watchers = watchers
  }

  /**
   * Waits until everything that was acknowledged was seen, for as long as that may take, and says what is wrong. Nothing is written any
   * more. `mayCompact`: all nodes of a shard may have died at once, and with them what they kept.
   */
  async faults(lines: readonly HistoryLine[], { mayCompact }: { readonly mayCompact: boolean }): Promise<string[]> {
    const end = performance.now() + SEEN_MS_MAX
    for (;;) {
      const faults = this.#watchers.flatMap((watcher) => faultsOf(watcher, lines, mayCompact))
      if (faults.length === 0 || performance.now() > end) return faults
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#watchers.map((watcher) => watcher.close()))
  }
}

/** What is not kept is no fault of who says so. A token of a shard that has left the map since is compacted in any case. */
function faultsOf(watcher: KeyWatcher, lines: readonly HistoryLine[], mayCompact: boolean): string[] {
  if (watcher.failure instanceof CompactedError && (mayCompact || watcher.mode === 'gateway')) return []
  if (watcher.failure !== undefined) return [`the watch by ${watcher.mode} has ended: ${String(watcher.failure)}`]
  return watchFaults(lines, watcher.seen).map((fault) => `${fault}, by ${watcher.mode}`)
}
