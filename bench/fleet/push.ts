// Who gets which maps when something changes: MapPublisher's rules, in simulated time.

import { planMoves } from '../../orchestrator/control/operations/plan-moves.js'
import { seededRng } from '../../orchestrator/core/rng.js'
import type { ClusterMap } from '../../orchestrator/core/topology.js'
import { type Fleet, KNOWN } from './inputs.js'
import { deltaBytes, mapOf, messageBytes } from './map.js'
import { bytes, duration, type Section } from './section.js'
import { placed } from './skew.js'

/**
 * How many rounds a `Rounds` makes of questions at these moments, in order, each round taking so long: one at a time, and
 * one more when it was asked during the last.
 */
export function roundsFor(asked: readonly number[], roundMs: number): number {
  let rounds = 0
  let free = Number.NEGATIVE_INFINITY
  let begun = Number.NEGATIVE_INFINITY
  for (const at of asked) {
    // One that begins then, or when the one under way ends, answers this as well.
    if (begun >= at) continue
    begun = Math.max(at, free)
    free = begun + roundMs
    rounds++
  }
  return rounds
}

/** What happens, and how many whole maps it makes everybody be sent. */
interface Event {
  readonly name: string
  readonly maps: number
  /** Bytes of the same as deltas, to one receiver. */
  readonly deltas: number
  /** Over how long. */
  readonly seconds: number
}

/** Nodes that came back elsewhere: each is published at once as it is, and then with the epoch that meta gives. */
export function mapsForAddresses(at: readonly number[]): number {
  return at.length + roundsFor(at, KNOWN.metaRound.value)
}

function addresses(map: ClusterMap, count: number, seconds: number, seed: number): Event {
  const rng = seededRng(seed)
  const at = Array.from({ length: count }, () => rng.float() * seconds * 1000).sort((a, b) => a - b)
  const name = count === 1 ? 'one address changes' : `${count} addresses in ${duration(seconds)}`
  return { name, maps: mapsForAddresses(at), deltas: count * deltaBytes(map, 1, 0), seconds }
}

/** One map for the shards that are new, one for each move. */
export function reshardMaps(from: number, to: number): { readonly maps: number; readonly moves: number } {
  const moves = planMoves(placed(from), placed(to)).length
  return { maps: moves + 1, moves }
}

function reshard(map: ClusterMap, from: number, to: number, moveS: number): Event {
  const { maps, moves } = reshardMaps(from, to)
  const deltas = deltaBytes(map, to - from, 0) + moves * deltaBytes(map, 0, 1)
  return { name: `reshard ${from} to ${to}: ${moves} moves`, maps, deltas, seconds: moves * moveS }
}

function pushEvents(fleet: Fleet, map: ClusterMap, moveS: number): Event[] {
  const { shards, replicas, machines, racks, restartS, seed } = fleet
  const perRack = Math.ceil((shards * replicas) / Math.min(racks, machines))
  const before = Math.max(1, Math.floor(shards / 4))
  return [
    addresses(map, 1, 0, seed),
    { name: 'one move', maps: 1, deltas: deltaBytes(map, 0, 1), seconds: moveS },
    reshard(map, shards, shards + 1, moveS),
    reshard(map, before, shards, moveS),
    addresses(map, perRack, restartS, seed),
    addresses(map, perRack, 1, seed),
  ]
}

export function pushSection(fleet: Fleet, moveS: number): Section {
  const map = mapOf(fleet.shards, fleet.replicas, fleet.seed)
  const size = messageBytes(map)
  const receivers = fleet.gateways + fleet.clients
  const each = Math.ceil(fleet.clients / fleet.gateways)
  return {
    title: `Maps to ${fleet.gateways} gateways and ${fleet.clients} direct clients, ${bytes(size)} each`,
    head: ['what happens', 'maps', 'messages', 'bytes', 'a gateway sends', 'as deltas', 'whole/delta'],
    rows: pushEvents(fleet, map, moveS).map(({ name, maps, deltas, seconds }) => {
      const out = maps * each * size
      const rate = `${bytes(out / Math.max(1, seconds))}/s`
      const ratio = Math.round((maps * size) / deltas)
      return [name, maps, maps * receivers, bytes(maps * receivers * size), rate, bytes(deltas * receivers), ratio]
    }),
    notes: [
      'An address is sent twice: with the old epoch at once, and again when meta has given the next one, which says nothing new.',
      `Epochs are gathered only within the ${KNOWN.metaRound.value} ms that meta takes; the first of the two not at all. What a ` +
        'slow stream skips is not counted off: the figures are what is asked of the network.',
      'A node that starts again keeps its address: a rack of our own machines changes no map. Nodes that get new addresses do.',
    ],
  }
}
