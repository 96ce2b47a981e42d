import { type Clock, sleep } from '../../core/clock.js'
import { KvError } from '../../errors/index.js'
import { StartFault } from '../faults.js'
import type { Fleet } from '../fleet.js'
import type { Supervisor } from '../supervisor.js'
import type { Operations } from './operations.js'
import { hasMajorityWithout, wishForReplacement } from './replace.js'

export interface ReplacerDeps {
  readonly fleet: Fleet
  readonly operations: Operations
  readonly clock: Clock
  /** How long a node must have been lost; 0: none is replaced. */
  readonly replaceAfterMs: number
}

const LOOK_EVERY_MS = 1_000

/**
 * Has nodes replaced whose data is gone for good: their shard would survive one loss less until somebody notices. Nodes that
 * are only down, damaged or silent are left to their supervisors and to people.
 */
export class Replacer {
  readonly #closed = new AbortController()
  /** By name, since when by the monotonic clock. An orchestrator that starts counts from the beginning. */
  readonly #lostSince = new Map<string, number>()
  #running: Promise<void> | undefined

  constructor(private readonly deps: ReplacerDeps) {}

  start(): void {
    if (this.deps.replaceAfterMs > 0) this.#running ??= this.#run(this.#closed.signal)
  }

  async close(): Promise<void> {
    this.#closed.abort(new Error('the orchestrator stops'))
    await this.#running
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await sleep(this.deps.clock, LOOK_EVERY_MS, signal).catch(() => {})
      const due = this.#firstDue()
      if (signal.aborted || due === undefined) continue
      try {
        await this.deps.operations.begin(wishForReplacement(due.name, 'itself'), signal)
        // If that does not help, or a person cancels it, it is tried again when as much time has passed.
        this.#lostSince.set(due.name, this.deps.clock.monotonic())
      } catch (error) {
        // Another operation is under way, there is no room, meta is away: it is looked at again.
        if (!signal.aborted && !(error instanceof KvError) && !(error instanceof StartFault)) throw error
      }
    }
  }

  /** One at a time: the first that has been lost for long enough, and that its shard can do without. */
  #firstDue(): Supervisor | undefined {
    const now = this.deps.clock.monotonic()
    const lost = this.deps.fleet.all.flatMap((group) =>
      group.voters.filter((node) => node.isLost).map((node) => ({ group, node })),
    )
    const names = new Set(lost.map(({ node }) => node.name))
    for (const name of this.#lostSince.keys()) if (!names.has(name)) this.#lostSince.delete(name)
    for (const name of names) if (!this.#lostSince.has(name)) this.#lostSince.set(name, now)
    const isDue = (name: string) => now - (this.#lostSince.get(name) ?? now) >= this.deps.replaceAfterMs
    return lost.find(({ group, node }) => isDue(node.name) && hasMajorityWithout(group, node.spec.index))?.node
  }
}
