import type { LaneChange, LaneOptions } from '../wire/lane.js'
import { Node } from './node.js'

/** Gateways of the same cluster, which reach its nodes on our behalf. */
export interface GatewayList {
  readonly addresses: readonly string[]
  /** Whether it still serves our cluster, as far as is known: nobody else looks. */
  readonly trusts: (address: string) => boolean
}

export interface DetourOptions {
  readonly gateways: GatewayList
  readonly lane: Omit<LaneOptions, 'peer' | 'onChange'>
  /** There are no nodes but the gateways: the first of them is asked at once. */
  readonly always: boolean
  /** A gateway can be asked from now on. */
  readonly opened: () => void
}

/** How long a leader is wanted in vain before the gateways are asked: when no node can be reached, and when some can. */
const UNREACHED_MS = 250
const LEADERLESS_MS = 1000
/** While on the detour, how often the nodes are tried. */
const LOOK_MS = 500
/**
 * A message may wait for a shard without a leader. The gateway answers its other operations meanwhile, but those that come
 * behind it would wait for it to be finished.
 */
const PATIENCE_MS = 50
/** Where there is another gateway, one whose process hangs is left well within the default deadline. */
const PULSE = { everyMs: 1_500, patienceMs: 1_500 }

/** The way to a shard whose nodes cannot be reached from here: through a gateway, until its leader is found. */
export class Detour {
  readonly #options: DetourOptions
  /** The one that failed last comes last. */
  #gateways: Node[]
  readonly #open = new Set<Node>()
  /** The shard's own nodes that have answered and not gone since. */
  readonly #reached = new Set<Node>()
  #wantedSince: number | undefined
  #lookedAt = Number.NEGATIVE_INFINITY
  #current: Node | undefined

  constructor(options: DetourOptions) {
    this.#options = options
    // Never stalled: a gateway waits for leaders on its clients' behalf.
    const stallMs = Number.POSITIVE_INFINITY
    const pulse = options.gateways.addresses.length > 1 ? PULSE : undefined
    const lane = { ...options.lane, stallMs, patienceMs: PATIENCE_MS, relayed: true, pulse }
    const make = (address: string) =>
      new Node({ id: address, address }, undefined, lane, (node, change) => this.#changed(node, change))
    this.#gateways = options.gateways.addresses.map(make)
    if (options.always) this.#current = this.#gateways[0]
  }

  /** The gateway to ask; undefined when it is not (or no longer) time for that. */
  get node(): Node | undefined {
    if (this.#current === undefined || this.#mayAsk(this.#current)) return this.#current
    this.#current = this.#pick()
    return this.#current
  }

  /** A call has to wait for a leader. */
  wanted(): void {
    this.#wantedSince ??= this.#options.lane.clock.monotonic()
  }

  /** Whom a search asks beside the nodes. */
  get candidates(): readonly Node[] {
    if (this.#current !== undefined) return []
    return this.#isDue ? this.#gateways.filter((node) => this.#mayAsk(node)) : []
  }

  /** Says whether to go this way now. */
  take(): boolean {
    if (!this.#isDue) return false
    this.#current ??= this.#pick()
    return this.#current !== undefined
  }

  /** The leader is found. */
  end(): void {
    this.#wantedSince = undefined
    this.#current = undefined
  }

  /** Whether it is time to try the nodes again. */
  mayLook(): boolean {
    const now = this.#options.lane.clock.monotonic()
    if (this.#options.always || now - this.#lookedAt < LOOK_MS) return false
    this.#lookedAt = now
    return true
  }

  isGateway(node: Node): boolean {
    return this.#gateways.includes(node)
  }

  /** One of the shard's own nodes can be reached, or cannot any more. */
  reached(node: Node, now: boolean): void {
    if (now) this.#reached.add(node)
    else this.#reached.delete(node)
  }

  close(): void {
    for (const node of this.#gateways) node.lane.close()
  }

  get #isDue(): boolean {
    if (this.#options.always) return true
    if (this.#wantedSince === undefined) return false
    const vainMs = this.#options.lane.clock.monotonic() - this.#wantedSince
    return vainMs >= (this.#reached.size > 0 ? LEADERLESS_MS : UNREACHED_MS)
  }

  #pick(): Node | undefined {
    return this.#gateways.find((node) => this.#open.has(node) && this.#mayAsk(node))
  }

  #mayAsk(node: Node): boolean {
    return node.lane.usable && this.#options.gateways.trusts(node.address)
  }

  #changed(node: Node, { kind }: LaneChange): void {
    if (kind === 'open') {
      this.#open.add(node)
      this.#options.opened()
    } else if (kind === 'down') {
      this.#open.delete(node)
      this.#gateways = [...this.#gateways.filter((one) => one !== node), node]
      if (this.#current === node) this.#current = this.#pick()
    }
  }
}
