// Who takes part. A note says where a contender promises less than ours: a majority has every acknowledged write on
// disk, and a get sees all that was acknowledged before it.
import type { ClientName } from './clients/open.js'
import { etcd } from './systems/etcd.js'
import { kvorum } from './systems/kvorum.js'
import { nats } from './systems/nats.js'
import { redis } from './systems/redis.js'
import type { System } from './systems/system.js'

export interface Contender {
  readonly name: string
  /** Where it is weaker, in words; empty when it is not. */
  readonly note: string
  readonly system: System
  readonly client: ClientName
  /** Packages from npm that its client is made of. */
  readonly packages: readonly string[]
}

/** What the goals name. */
export const OURS_3X3 = 'kvorum 3x3 direct'
export const OURS_1X3 = 'kvorum 1x3 direct'
export const GATEWAY_3X3 = 'kvorum 3x3 gateway'
export const GATEWAY_1X3 = 'kvorum 1x3 gateway'
export const COMPAT_3X3 = 'kvorum 3x3 compat'
export const ETCD = 'etcd'
export const REDIS = 'redis'
export const REDIS_WAIT = 'redis WAIT 1'
export const REDIS_WAIT_ONE = 'redis WAIT 1, one connection'
export const NATS = 'nats'

const REDIS_LOCAL = 'weaker: a put is acknowledged by one server, a failover may lose it; a get asks one server'
const REDIS_COPY = 'weaker: a put waits for one copy, yet a failover may lose it; a get asks one server'
const NATS_GET = 'weaker: a get asks the leader alone, and one that was replaced may answer with an old value'

export const CONTENDERS: readonly Contender[] = [
  { name: OURS_3X3, note: '', system: kvorum(3), client: 'direct', packages: [] },
  { name: OURS_1X3, note: '', system: kvorum(1), client: 'direct', packages: [] },
  { name: GATEWAY_3X3, note: '', system: kvorum(3), client: 'gateway', packages: [] },
  { name: GATEWAY_1X3, note: '', system: kvorum(1), client: 'gateway', packages: [] },
  { name: COMPAT_3X3, note: '', system: kvorum(3), client: 'compat', packages: [] },
  { name: ETCD, note: '', system: etcd, client: 'etcd', packages: ['etcd3'] },
  { name: REDIS, note: REDIS_LOCAL, system: redis, client: 'redis', packages: ['ioredis'] },
  { name: REDIS_WAIT, note: REDIS_COPY, system: redis, client: 'redisWait', packages: ['ioredis'] },
  { name: REDIS_WAIT_ONE, note: REDIS_COPY, system: redis, client: 'redisWaitOne', packages: ['ioredis'] },
  { name: NATS, note: NATS_GET, system: nats, client: 'nats', packages: ['@nats-io/kv', '@nats-io/transport-node'] },
]
