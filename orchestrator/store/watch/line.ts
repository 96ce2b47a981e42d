import { type Clock, sleep } from '../../core/clock.js'
import type { MapSource } from '../../core/map-source.js'
import type { Rng } from '../../core/rng.js'
import type { NodeInfo, ShardInfo } from '../../core/topology.js'
import { CompactedError, type KvError, toKvError, UnavailableError } from '../../errors/index.js'
import type { NodeMessage, Position, Watched, WatchLinks } from '../../wire/watch.js'

export interface LineOptions {
  readonly shard: number
  /** Which shard of that id: another one has another log, in which the position means nothing. */
  readonly incarnation: number
  readonly watched: Watched
  readonly maps: MapSource
  readonly links: Pick<WatchLinks, 'watch'>
  readonly clock: Clock
  readonly rng: Rng
  /** Where the next stream is to begin; undefined: now. */
  readonly position: () => Position | undefined
  /** Takes a message, and resolves when all of it was taken: so long the node is not read from. */
  readonly deliver: (message: NodeMessage) => Promise<void>
  readonly signal: AbortSignal
}

const RETRY_MS_MIN = 20
const RETRY_MS_MAX = 500
/** A node that has said nothing at all by then is left for the next one. */
const FIRST_MS = 3000
/**
 * How long a replica that cannot be asked is waited for when all others keep too little, or when the shard has left the map: it may
 * have what is asked for.
 */
const HOPE_MS = 10_000

/** The nodes that have no hope to give: what they keep begins later, or they do not know what a watch is. */
type Refused = Map<string, KvError>

/**
 * Follows one shard from replica to replica, until `signal` is aborted. Throws COMPACTED when none of them has the position any more, and
 * what is wrong with the request.
 */
export async function followShard(options: LineOptions): Promise<void> {
  const { clock, rng, signal, shard, incarnation, maps } = options
  const refused: Refused = new Map()
  let nodes: readonly NodeInfo[] = []
  let turn = Math.floor(rng.float() * 1024)
  let failures = 0
  let hopingSince: number | undefined
  while (!signal.aborted) {
    const present = presentOf(options)
    nodes = present?.nodes ?? nodes
    const node = nextNode(nodes, turn++, refused)
    const last = [...refused.values()].at(-1)
    if (node === undefined) {
      if (last === undefined && maps.current().epoch < incarnation && (await isNewerMap(options))) continue
      throw last ?? lost(shard)
    }
    const outcome = await followNode(options, node)
    if (outcome.came) {
      refused.clear()
      failures = 0
      hopingSince = undefined
    }
    if (signal.aborted) return
    const { error } = outcome
    if (error.code === 'INVALID_ARGUMENT' || error.code === 'TOO_LARGE') throw error
    if (error.code === 'COMPACTED' || error.code === 'UNSUPPORTED') refused.set(node.id, error)
    else failures++
    if (error.code === 'WRONG_PEER') maps.refresh(maps.current().epoch + 1n)
    if (refused.size > 0 || present === undefined) {
      hopingSince ??= clock.monotonic()
      if (clock.monotonic() - hopingSince > HOPE_MS) throw [...refused.values()].at(-1) ?? lost(shard)
    }
    const rounds = Math.floor(failures / Math.max(1, nodes.length))
    const pauseMs = Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** Math.min(rounds, 10)) * (0.5 + rng.float())
    if (failures > 0) await sleep(clock, pauseMs, signal).catch(() => {})
  }
}

/** The shard as the map has it. What has its id and another incarnation is another shard, and its nodes are others. */
function presentOf({ maps, shard, incarnation }: LineOptions): ShardInfo | undefined {
  return maps.current().shards.find((one) => one.id === shard && (one.incarnation ?? 0) === incarnation)
}

/** Waits for the map that first had the shard, or a later one: whoever gave the token knew it. False when it does not come. */
async function isNewerMap({ maps, clock, incarnation, signal }: LineOptions): Promise<boolean> {
  const given = new AbortController()
  const isThere = () => signal.aborted || maps.current().epoch >= incarnation
  const unsubscribe = maps.subscribe(() => {
    if (isThere()) given.abort()
  })
  const end = () => given.abort()
  signal.addEventListener('abort', end, { once: true })
  try {
    maps.refresh(BigInt(incarnation))
    if (!isThere()) await sleep(clock, HOPE_MS, given.signal).catch(() => {})
    return isThere()
  } finally {
    unsubscribe()
    signal.removeEventListener('abort', end)
  }
}

function nextNode(nodes: readonly NodeInfo[], turn: number, refused: Refused): NodeInfo | undefined {
  const able = nodes.filter(({ id }) => !refused.has(id))
  return able[turn % Math.max(1, able.length)]
}

/** One stream, until it breaks. Says whether anything came. */
async function followNode(options: LineOptions, node: NodeInfo): Promise<{ came: boolean; error: KvError }> {
  const { clock, maps, shard, signal } = options
  const over = new AbortController()
  const end = () => over.abort()
  signal.addEventListener('abort', end, { once: true })
  const patience = clock.setTimeout(end, FIRST_MS)
  // A node that is not the shard's any more may never hear of anything again.
  const deafen = maps.subscribe(() => {
    const now = presentOf(options)
    if (now !== undefined && !now.nodes.some(({ id, address }) => id === node.id && address === node.address)) end()
  })
  const peer = { cluster: maps.current().clusterId, shard, node: node.id }
  let came = false
  try {
    for await (const message of options.links.watch(
      node.address,
      peer,
      options.watched,
      options.position(),
      over.signal,
    )) {
      patience.cancel()
      came = true
      await options.deliver(message)
    }
    return {
      came,
      error: new UnavailableError(`node ${node.id} has ended the watch`, { outcome: 'not-applied', shard }),
    }
  } catch (thrown) {
    return { came, error: toKvError(thrown, 'not-applied') }
  } finally {
    patience.cancel()
    deafen()
    signal.removeEventListener('abort', end)
    over.abort()
  }
}

function lost(shard: number): CompactedError {
  const message = `shard ${shard} has gone before all of its changes were seen: scan what is there, then watch from the token of this error`
  return new CompactedError(message, { outcome: 'not-applied', shard })
}
