import type { Clock, Timer } from '../core/clock.js'
import { bytesOf, type GetOperation, type Result } from '../core/operation.js'
import type { Rng } from '../core/rng.js'
import type { KvError } from '../errors/index.js'
import type { LaneRequest } from '../wire/lane-request.js'
import type { Node } from './node.js'

export interface SearchOptions {
  readonly clock: Clock
  readonly rng: Rng
  nodes(): Iterable<Node>
  /** A key of the shard that somebody waits for; undefined when nobody waits any more: the search ends. */
  key(): Uint8Array | undefined
  /** A node answered, one way or the other. May call `stop`. */
  answered(node: Node, error: KvError | undefined): void
}

/** A node that does not answer within this is asked again. */
const PROBE_MS_MAX = 1000
/** Between rounds: short, because everybody waits, and harmless, because a search is one message per node and round. */
const ROUND_FIRST_MS = 2
const ROUND_MS_MAX = 25

/**
 * Looks for a shard's leader by asking all nodes for one key: a read is harmless, and only a leader answers it. Calls that
 * need the leader wait meanwhile, so that the load of a search does not grow with them.
 */
export class Search {
  readonly #options: SearchOptions
  readonly #probes = new Map<Node, Probe>()
  #timer: Timer | undefined
  #rounds = 0
  #startedAt: number | undefined

  constructor(options: SearchOptions) {
    this.#options = options
  }

  /** Ms since it began; 0 when it is not running. */
  get elapsedMs(): number {
    return this.#startedAt === undefined ? 0 : this.#options.clock.monotonic() - this.#startedAt
  }

  start(): void {
    if (this.#startedAt !== undefined) return
    this.#startedAt = this.#options.clock.monotonic()
    this.#rounds = 0
    this.#round()
  }

  stop(): void {
    this.#startedAt = undefined
    this.#timer?.cancel()
    for (const probe of this.#probes.values()) probe.settled = true
    this.#probes.clear()
  }

  /** Asks all nodes once, on behalf of somebody who does not wait for the answer. */
  once(key: Uint8Array): void {
    if (this.#startedAt !== undefined) return
    for (const node of this.#options.nodes()) if (node.lane.usable && !this.#probes.has(node)) this.#ask(node, key)
  }

  #round(): void {
    const key = this.#options.key()
    if (key === undefined) {
      this.stop()
      return
    }
    const ceiling = Math.min(ROUND_MS_MAX, ROUND_FIRST_MS * 2 ** Math.min(this.#rounds++, 10))
    this.#timer = this.#options.clock.setTimeout(() => this.#round(), ceiling * (0.5 + this.#options.rng.float() / 2))
    for (const node of this.#options.nodes()) {
      if (this.#startedAt === undefined) return
      if (node.lane.usable && !this.#probes.has(node)) this.#ask(node, key)
    }
  }

  #ask(node: Node, key: Uint8Array): void {
    const deadline = this.#options.clock.monotonic() + PROBE_MS_MAX
    const probe = new Probe({ kind: 'get', key }, deadline, (error) => {
      if (this.#probes.get(node) === probe) this.#probes.delete(node)
      if (!probe.settled) this.#options.answered(node, error)
    })
    this.#probes.set(node, probe)
    node.send(probe)
  }
}

class Probe implements LaneRequest {
  readonly bytes: number
  settled = false
  sent = false

  constructor(
    readonly operation: GetOperation,
    readonly deadline: number,
    private readonly answered: (error: KvError | undefined) => void,
  ) {
    this.bytes = bytesOf(operation)
  }

  complete(error: KvError | undefined, _result: Result | undefined): void {
    this.answered(error)
  }
}
