// kvorum.v1.KV: bytes in, bytes out, failures as errors with a code and an outcome.
import type { ClusterMap } from '../core/topology.js'
import type { KvHandlers } from '../wire/services.js'
import { foundToWire, narrow } from '../wire/ttl.js'
import { BatchSession } from './batch.js'
import type { GatewayContext } from './context.js'
import { latestMaps } from './maps.js'
import { rangeHandlers } from './ranges.js'
import { executor } from './unary.js'
import { watchHandler } from './watch.js'
import { overloaded } from './work.js'

/** Each may hold a window of bytes and a message that no budget knows of yet. */
const STREAMS_MAX = 256
/** A stream lives for as long as its client. */
const CROWDED_MS = 1000

/** `sessions` holds the open Batch streams, so that the gateway can end them in order. */
export function kvHandlers(context: GatewayContext, sessions: Set<BatchSession>): KvHandlers {
  const execute = executor(context)
  return {
    get: async ({ key, staleMs }, call) => foundToWire(await execute({ kind: 'get', key, staleMs }, call)),
    put: ({ key, value, ifVersion, returnPrevious, ttlMs, lease }, call) =>
      execute({ kind: 'put', key, value, ifVersion, returnPrevious, ttlMs: narrow(ttlMs), lease }, call),
    delete: ({ key, ifVersion, returnPrevious }, call) =>
      execute({ kind: 'delete', key, ifVersion, returnPrevious }, call),
    transaction: (operation, call) => execute(operation, call),
    ...rangeHandlers(context),
    batch: (stream) => {
      if (sessions.size >= STREAMS_MAX) {
        stream.fail(overloaded('the gateway has as many Batch streams as it may', CROWDED_MS))
        return
      }
      sessions.add(new BatchSession(context, stream, (session) => sessions.delete(session)))
    },
    watch: watchHandler(context),
    clusterMap: (signal): AsyncIterable<ClusterMap> => latestMaps(context.maps, signal),
  }
}
