// Time without service: one small put after the other on each shard, and when each was acknowledged.
import { setTimeout as pause } from 'node:timers/promises'
import type { ClusterMap } from '../../../orchestrator/core/topology.js'
import { keysOn } from '../../harness/keys.js'
import type { Watcher } from './recorder.js'
import type { Way } from './ways.js'

const PUT_MS_MAX = 5_000
const REST_MS = 3
/** The same few keys again and again: a long run does not fill the disk. */
const KEYS = 4

export class ServiceProbe {
  readonly #watch: Watcher
  readonly #keys: readonly string[]
  readonly #loop: Promise<void>
  #successes: number[] = []
  readonly #waiting: (() => void)[] = []
  #stopped = false

  constructor(
    readonly shard: number,
    readonly way: Way,
    map: ClusterMap,
    watch: Watcher,
  ) {
    this.#watch = watch
    const next = keysOn(map, shard, `probe-${way.name}`)
    this.#keys = Array.from({ length: KEYS }, next)
    this.#loop = this.#run()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await this.#loop
  }

  /** Resolves when a put that begins after now is acknowledged; rejects when the signal is aborted. */
  async nextSuccess(signal: AbortSignal): Promise<void> {
    // The one in flight may have been applied before.
    for (let successes = 0; successes < 2; successes++) {
      await new Promise<void>((resolve, reject) => {
        signal.throwIfAborted()
        const giveUp = (): void => reject(new Error(`shard ${this.shard} takes no puts by ${this.way.name}`))
        signal.addEventListener('abort', giveUp, { once: true })
        this.#waiting.push(() => {
          signal.removeEventListener('abort', giveUp)
          resolve()
        })
      })
    }
  }

  /** Forgets what was before this moment but for the last success: gaps that are asked for later begin after it. */
  forget(beforeMs: number): void {
    const last = this.#successes.findLastIndex((at) => at < beforeMs)
    if (last > 0) this.#successes = this.#successes.slice(last)
  }

  /** The longest time between two successes that begins before `to` and ends after `from`. */
  longestGapMs(from: number, to: number, now: number): number {
    return longestGapMs([...this.#successes, now], from, to)
  }

  async #run(): Promise<void> {
    for (let turn = 0; !this.#stopped; turn++) {
      const key = this.#keys[turn % KEYS] ?? ''
      const begin = performance.now()
      let good = true
      try {
        await this.way.put(key, String(turn), PUT_MS_MAX)
      } catch {
        good = false
      }
      const end = performance.now()
      if (good) this.#succeeded(end)
      this.#watch(end, end - begin, good)
      await pause(REST_MS)
    }
  }

  #succeeded(atMs: number): void {
    this.#successes.push(atMs)
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}

export function longestGapMs(times: readonly number[], from: number, to: number): number {
  let longest = 0
  let before = times[0] ?? from
  for (const at of times.slice(1)) {
    if (before <= to && at >= from) longest = Math.max(longest, at - before)
    before = at
  }
  return longest
}
