// All nodes of the cluster are out of order in the same way, and many callers wait.
import { DEFAULT_LIMITS } from '../../../core/limits.js'
import type { Cluster } from './cluster.js'
import { failed, SimGateway, SimNode } from './peers.js'
import { World } from './world.js'

export interface Effort {
  readonly calls: number
  readonly peers: number
  readonly seconds: number
  /** How often writes were sent; all of them, and the one that was sent most often. */
  readonly copies: number
  readonly copiesMax: number
  /** All messages and connections, those of searches included. */
  readonly messages: number
  readonly connects: number
}

function forAll(act: (node: SimNode, cluster: Cluster) => void): (cluster: Cluster) => void {
  return (cluster) => {
    for (const peer of cluster.peers) if (peer instanceof SimNode) act(peer, cluster)
  }
}

export const OUTAGES = {
  'no process runs': forAll((node, cluster) => cluster.stop(node, 'down')),
  'all stand still': forAll((node, cluster) => cluster.stop(node, 'paused')),
  'nobody leads': forAll((node) => {
    node.shard.leader = undefined
  }),
  'all are about to stop': forAll((node) => {
    node.mood = () => failed('UNAVAILABLE', 'not-applied')
  }),
  'all lose what they are sent': forAll((node) => {
    node.mood = () => failed('UNAVAILABLE', 'unknown')
  }),
  'all are full': forAll((node) => {
    node.mood = () => failed('OVERLOADED', 'not-applied')
  }),
  'all say that others own everything': forAll((node) => {
    node.mood = () => node.shard.wrongShard()
  }),
}

export type Outage = keyof typeof OUTAGES

const SEED = 1
const CALLS = 300
const STEP_MS = 5
const SECONDS = 2
const WARM_UP_MS = 200

/** Lets callers wait for the end of an outage that outlasts them all. */
export async function runOutage(outage: Outage): Promise<Effort> {
  const world = new World(SEED, DEFAULT_LIMITS)
  world.weather.calm()
  const [client] = world.clients
  if (client === undefined) throw new Error('a world without clients')
  // Sessions are open and leaders known.
  for (let call = 0; call < CALLS; call++) client.call(WARM_UP_MS)
  for (let ms = 0; ms < WARM_UP_MS; ms += STEP_MS) await world.pass(STEP_MS)
  const { connects, messages } = world.network
  world.network.copies.clear()
  OUTAGES[outage](world.cluster)
  for (const peer of world.cluster.peers) if (peer instanceof SimGateway) world.cluster.stop(peer, 'down')
  for (let call = 0; call < CALLS; call++) client.call(1000 * SECONDS)
  for (let ms = 0; ms < 1000 * SECONDS; ms += STEP_MS) await world.pass(STEP_MS)
  const copies = [...world.network.copies.values()]
  for (const one of world.clients) one.close()
  return {
    calls: CALLS,
    peers: world.cluster.peers.length,
    seconds: SECONDS,
    copies: copies.reduce((sum, one) => sum + one, 0),
    copiesMax: Math.max(0, ...copies),
    messages: world.network.messages - messages,
    connects: world.network.connects - connects,
  }
}
