import type { Clock } from '../core/clock.js'
import { InternalError } from '../errors/index.js'
import { Channel } from './channel.js'
import {
  WatchedPartitions_Holding as Holding,
  KVService,
  type WatchEvent as WireEvent,
  type WatchedPartitions as WirePartitions,
  type WatchPosition as WirePosition,
  type WatchResponse as WireResponse,
} from './gen/kvorum/v1/kv.js'
import type { PeerIdentity } from './peer.js'

/** Which keys are watched: one, or all that begin so. */
export interface Watched {
  readonly key?: Uint8Array
  readonly prefix?: Uint8Array
}

/** A place in a shard's log: the changes of entry `index` from number `skip` on are next. */
export interface Position {
  readonly index: bigint
  readonly skip: number
}

/** How neighbouring partitions are held; `gone`: released, or never owned. */
export interface HeldPartitions {
  readonly first: number
  readonly last: number
  readonly epoch: bigint
  readonly holding: 'owned' | 'frozen' | 'gone'
}

/** A change of a key, whoever tells it. */
export type KeyChange =
  | { readonly type: 'put'; readonly key: Uint8Array; readonly value: Uint8Array; readonly version: bigint }
  | { readonly type: 'delete'; readonly key: Uint8Array; readonly version: bigint }

/** Of the owner of partitions. */
export interface OwnerChange {
  readonly type: 'released' | 'activated'
  readonly partitions: HeldPartitions
}

/** What a node tells: the change, and the position after it. */
export interface NodeEvent {
  readonly change: KeyChange | OwnerChange
  readonly next: Position
}

export interface NodeMessage {
  readonly events: readonly NodeEvent[]
  readonly next: Position
  /** With the first message. */
  readonly partitions: readonly HeldPartitions[]
}

/** What a gateway tells: changes, each with the token to go on from, and the newest token. */
export interface GatewayMessage {
  readonly events: readonly { readonly change: KeyChange; readonly token: Uint8Array }[]
  readonly token: Uint8Array
}

const HOLDINGS = new Map<Holding, HeldPartitions['holding']>([
  [Holding.OWNED, 'owned'],
  [Holding.FROZEN, 'frozen'],
  [Holding.GONE, 'gone'],
])

/** Below the 256 streams that a node allows a connection. */
const STREAMS_PER_CHANNEL = 100
/** A watch that is not read holds so much of each shard, and a gateway has many. */
const WINDOW_BYTES = 64 << 10

interface Link {
  readonly channel: Channel
  streams: number
  broken: boolean
}

/**
 * Watches of nodes, many on one connection. One that has failed gets no more streams: the next ones have a new one, which does not
 * inherit its backoff.
 */
export class WatchLinks {
  readonly #links = new Map<string, Link>()

  constructor(
    private readonly clock: Clock,
    private readonly progressMs: number,
  ) {}

  /** What the node tells from the position on, or from now on. Throws a KvError when it breaks; ends when `signal` is aborted. */
  async *watch(
    address: string,
    peer: PeerIdentity,
    watched: Watched,
    from: Position | undefined,
    signal: AbortSignal,
  ): AsyncGenerator<NodeMessage> {
    const name = `${address} ${peer.node ?? ''}`
    const link = this.#link(name, address, peer)
    link.streams++
    try {
      const request = { keys: keysOf(watched), token: new Uint8Array(), from, progressMs: this.progressMs }
      for await (const message of link.channel.stream(KVService.watch, request, signal)) yield nodeMessage(message)
    } catch (error) {
      link.broken = true
      throw error
    } finally {
      link.streams--
      if (link.broken && this.#links.get(name) === link) this.#links.delete(name)
      if (link.streams === 0) {
        if (this.#links.get(name) === link) this.#links.delete(name)
        link.channel.close()
      }
    }
  }

  #link(name: string, address: string, peer: PeerIdentity): Link {
    const known = this.#links.get(name)
    if (known !== undefined && !known.broken && known.streams < STREAMS_PER_CHANNEL) return known
    const link: Link = {
      channel: new Channel(address, this.clock, peer, { windowBytes: WINDOW_BYTES }),
      streams: 0,
      broken: false,
    }
    this.#links.set(name, link)
    return link
  }
}

/** The changes of the whole cluster by way of a gateway, on a connection of its own. */
export async function* watchGateway(
  address: string,
  clock: Clock,
  watched: Watched,
  token: Uint8Array | undefined,
  progressMs: number,
  signal: AbortSignal,
): AsyncGenerator<GatewayMessage> {
  const channel = new Channel(address, clock)
  try {
    const request = { keys: keysOf(watched), token: token ?? new Uint8Array(), from: undefined, progressMs }
    for await (const message of channel.stream(KVService.watch, request, signal)) yield gatewayMessage(message)
  } finally {
    channel.close()
  }
}

/** What a gateway sends. */
export function gatewayMessageToWire({ events, token }: GatewayMessage): WireResponse {
  return {
    events: events.map(({ change, token: after }) => ({ kind: changeToWire(change), next: undefined, token: after })),
    next: undefined,
    partitions: [],
    token,
  }
}

function keysOf({ key, prefix }: Watched) {
  if (key !== undefined) return { $case: 'key', value: key } as const
  return { $case: 'prefix', value: prefix ?? new Uint8Array() } as const
}

function nodeMessage({ events, next, partitions }: WireResponse): NodeMessage {
  return { events: events.map(nodeEvent), next: positionOf(next), partitions: partitions.map(heldOf) }
}

function nodeEvent({ kind, next }: WireEvent): NodeEvent {
  if (kind?.$case === 'released' || kind?.$case === 'activated') {
    return { change: { type: kind.$case, partitions: heldOf(kind.value) }, next: positionOf(next) }
  }
  return { change: keyChange(kind), next: positionOf(next) }
}

function gatewayMessage({ events, token }: WireResponse): GatewayMessage {
  return {
    events: events.map((event) => ({ change: keyChange(event.kind), token: event.token.slice() })),
    token: token.slice(),
  }
}

/** Copies: what is kept does not hold the message that it came in. */
function keyChange(kind: WireEvent['kind']): KeyChange {
  if (kind?.$case === 'put') {
    const { key, value, version } = kind.value
    return { type: 'put', key: key.slice(), value: value.slice(), version }
  }
  if (kind?.$case === 'delete') return { type: 'delete', key: kind.value.key.slice(), version: kind.value.version }
  throw new InternalError('a change that is neither a put nor a delete', { outcome: 'not-applied' })
}

function changeToWire(change: KeyChange): WireEvent['kind'] {
  const { key, version } = change
  if (change.type === 'put') return { $case: 'put', value: { key, value: change.value, version } }
  return { $case: 'delete', value: { key, value: new Uint8Array(), version } }
}

function positionOf(position: WirePosition | undefined): Position {
  if (position !== undefined) return { index: position.index, skip: position.skip }
  throw new InternalError('a change without its position: is that a node?', { outcome: 'not-applied' })
}

function heldOf({ first, last, epoch, holding }: WirePartitions): HeldPartitions {
  return { first, last, epoch, holding: HOLDINGS.get(holding) ?? 'gone' }
}
