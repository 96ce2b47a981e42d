// kvorum.v1.KV: bytes in, bytes out, failures as errors with a code and an outcome.
import type { ClusterMap } from '../core/topology.js'
import type { KvHandlers } from '../wire/services.js'
import { BatchSession } from './batch.js'
import type { GatewayContext } from './context.js'
import { latestMaps } from './maps.js'
import { executor } from './unary.js'

/** `sessions` holds the open Batch streams, so that the gateway can end them in order. */
export function kvHandlers(context: GatewayContext, sessions: Set<BatchSession>): KvHandlers {
  const execute = executor(context)
  return {
    get: ({ key }, call) => execute({ kind: 'get', key }, call),
    put: ({ key, value, ifVersion }, call) => execute({ kind: 'put', key, value, ifVersion }, call),
    delete: ({ key, ifVersion }, call) => execute({ kind: 'delete', key, ifVersion }, call),
    batch: (stream) => {
      sessions.add(new BatchSession(context, stream, (session) => sessions.delete(session)))
    },
    clusterMap: (signal): AsyncIterable<ClusterMap> => latestMaps(context.maps, signal),
  }
}
