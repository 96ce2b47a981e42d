import { type Clock, systemClock } from '../../core/clock.js'
import { DEFAULT_LIMITS, type Limits } from '../../core/limits.js'
import { MapCell } from '../../core/map-source.js'
import { PARTITIONS } from '../../core/slot.js'
import { type ClusterMap, makeClusterMap } from '../../core/topology.js'
import { Budget } from '../budget.js'
import type { GatewayContext, OperationStore } from '../context.js'
import { Readers } from '../readers.js'
import { Toll } from '../toll.js'

/** A map of one shard with one node. */
export function smallMap(epoch: bigint): ClusterMap {
  const nodes = [{ id: 'n1', address: '127.0.0.1:1' }]
  return makeClusterMap({
    clusterId: 'test',
    epoch,
    owners: new Array<number>(PARTITIONS).fill(1),
    shards: [{ id: 1, nodes }],
  })
}

export function contextWith(
  store: OperationStore,
  limits: Partial<Limits> = {},
  clock: Clock = systemClock,
): GatewayContext {
  const all = { ...DEFAULT_LIMITS, ...limits }
  const budget = new Budget(all.inFlightBytesMax)
  return {
    limits: all,
    maps: new MapCell(smallMap(1n)),
    clock,
    budget,
    values: new Budget(all.inFlightBytesMax / 2, budget),
    crowd: new Set(),
    readers: new Readers(clock),
    toll: new Toll(clock),
    calls: 0,
    full: () => store.full?.(),
    ranges: store.ranges,
    submit: (operation, deadlineMs, done, stamp) => store.submit(operation, deadlineMs, done, stamp),
  }
}
