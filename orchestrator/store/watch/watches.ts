import { type Clock, systemClock } from '../../core/clock.js'
import type { MapSource } from '../../core/map-source.js'
import { type Rng, systemRng } from '../../core/rng.js'
import { type GatewayMessage, WatchLinks } from '../../wire/watch.js'
import { type ClusterWatchRequest, watchCluster } from './cluster-watch.js'

/** How often a watch's token moves on while nothing that it is about changes. */
const PROGRESS_MS = 1000

/** Opens watches of the whole cluster, which share their connections with the nodes. */
export function clusterWatches(
  maps: MapSource,
  clock: Clock = systemClock,
  rng: Rng = systemRng,
): (request: ClusterWatchRequest) => AsyncGenerator<GatewayMessage> {
  const links = new WatchLinks(clock, PROGRESS_MS)
  return (request) => watchCluster({ maps, links, clock, rng }, request)
}
