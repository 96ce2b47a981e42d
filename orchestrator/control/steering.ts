import type { ControlHandlers } from '../wire/control.js'
import type { ClusterOptions } from './cluster.js'
import type { FencedStore } from './fence.js'
import type { Fleet } from './fleet.js'
import { drain } from './leaders/drain.js'
import { Drains } from './leaders/drains.js'
import { Leaders } from './leaders/leaders.js'
import type { Lease } from './lease.js'
import type { MapPublisher } from './map-publisher.js'
import { operationHandlers, PATIENCE_MS, patiently } from './operations/handlers.js'
import { Journal } from './operations/journal.js'
import { Operations } from './operations/operations.js'
import { Replacer } from './operations/replacer.js'
import { Programs } from './programs.js'
import type { Registry } from './registry.js'
import { reportOf } from './report.js'

type SteeringOptions = ClusterOptions & {
  readonly registry: Registry
  readonly fleet: Fleet
  readonly store: FencedStore
  readonly publisher: MapPublisher
  readonly lease: Lease
}

/** What changes a cluster that serves: because a person asks for it, or by itself. */
export interface Steering {
  /** What people's tools ask of it. */
  readonly control: ControlHandlers
  close(): Promise<void>
}

/** Goes on with the operations that are under way, keeps leaders where they should be, and has lost nodes replaced. */
export async function steer(options: SteeringOptions): Promise<Steering> {
  const { registry, fleet, store, publisher, lease, driver, telemetry, clock } = options
  const programs = new Programs(options.directory, driver)
  const journal = new Journal(store)
  const drains = await Drains.open(registry)
  const leaders = new Leaders({ fleet, journal, lease, drains, telemetry, clock, settleMs: options.leaderSettleMs })
  const operations = new Operations({ ...options, journal, programs, leaders })
  const replacer = new Replacer({ ...options, operations })
  for (const one of [operations, leaders, replacer]) one.start()
  const unfit: Leaders['unfit'] = (group, node) => leaders.unfit(group, node)
  const status = async () => {
    const map = publisher.maps.current()
    return { epoch: map.epoch, groups: await reportOf(fleet.all, { map, driver, unfit }) }
  }
  const limit = { clock, ms: options.patienceMs ?? PATIENCE_MS }
  const parts = { fleet, drains, leaders, telemetry }
  return {
    control: {
      status,
      drain: (order) => patiently(limit, (signal) => drain(order, parts, signal)),
      ...operationHandlers(operations, programs, clock, limit.ms),
    },
    close: async () => {
      await Promise.all([replacer.close(), leaders.close(), operations.close()])
    },
  }
}
