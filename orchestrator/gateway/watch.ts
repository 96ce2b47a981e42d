import { type Rng, systemRng } from '../core/rng.js'
import { invalidArgument } from '../errors/index.js'
import { clusterWatches } from '../store/watch/watches.js'
import type { WatchAnswer, WatchQuestion } from '../wire/services.js'
import { gatewayMessageToWire, type Watched } from '../wire/watch.js'
import type { GatewayContext } from './context.js'
import { overloaded } from './work.js'

/** Each holds a message of every shard at most, and what its client has not read of one more. */
const WATCHES_MAX = 1024
/** A watch lives for as long as its client. */
const CROWDED_MS = 1000

/** Watches of the whole cluster for clients that cannot reach the nodes, or do not want to. */
export function watchHandler(context: GatewayContext, rng: Rng = systemRng) {
  const open = clusterWatches(context.maps, context.clock, rng)
  let watches = 0
  return async function* watch(request: WatchQuestion, signal: AbortSignal): AsyncGenerator<WatchAnswer> {
    const watched = watchedOf(request)
    if (watches >= WATCHES_MAX) throw overloaded('the gateway has as many watches as it may', CROWDED_MS)
    watches++
    try {
      const token = request.token.length === 0 ? undefined : request.token
      for await (const message of open({ watched, token, signal })) {
        yield gatewayMessageToWire(message)
      }
    } finally {
      watches--
    }
  }
}

function watchedOf({ keys }: WatchQuestion): Watched {
  if (keys?.$case === 'key' && keys.value.length > 0) return { key: keys.value }
  if (keys?.$case === 'prefix') return { prefix: keys.value }
  throw invalidArgument('a watch needs a key or a prefix')
}
