// What networks do: nodes that are cut off, one way only, slowly, with losses, and answers that never arrive.
import type { FaultKind, FaultPlan, Healing, Scene, Shape, Target } from './fault.js'
import { LabFault, type SharedLab } from './lab.js'
import { type Place, placesIn, placesOf, shardsOf } from './places.js'
import { CLIENTS, type Link, type LinkFault } from './proxy.js'
import type { Random } from './random.js'
import { anyShard } from './targets.js'

/** Longer than an election, so that others take over while it lasts. */
const SHORTEST_MS = 2_000
const LONGEST_MS = 8_000

type Params = FaultPlan['params']

interface Kind {
  readonly name: string
  readonly about: string
  readonly target: (shape: Shape, random: Random) => Target
  readonly params: (random: Random) => Params
  readonly fault: (scene: Scene, places: readonly Place[], params: Params) => LinkFault
  /** "cut off from its peers" */
  readonly words: (params: Params) => string
}

const KINDS: readonly Kind[] = [
  {
    name: 'partition',
    about: 'a node and its peers do not reach each other: packets vanish, or connections are refused',
    target: oneNode,
    params: (random) => ({ refuse: random.chance(0.25), clients: random.chance(0.25) }),
    fault: (scene, [place], params) => ({
      links: [...peersOf(scene, place), ...(params.clients === true ? fromClients([place]) : [])],
      both: true,
      rule: params.refuse === true ? { refuse: true } : { cut: true },
    }),
    words: ({ refuse, clients }) =>
      `${refuse === true ? 'refused by' : 'cut off from'} its peers${clients === true ? ' and clients' : ''}`,
  },
  {
    name: 'partition-leader',
    about: "a shard's leader is cut off from everybody, peers and clients, as when its host is gone",
    target: aLeader,
    params: () => ({}),
    fault: (scene, [place]) => ({
      links: [...peersOf(scene, place), ...fromClients([place])],
      both: true,
      rule: { cut: true },
    }),
    words: () => 'cut off from its peers and clients',
  },
  {
    name: 'one-way',
    about: 'a node hears its peers and is not heard, or the reverse',
    target: oneNode,
    params: (random) => ({ heard: random.chance(0.5) }),
    fault: (scene, [place], { heard }) => ({
      links: peersOf(scene, place).map(({ from, to }) => (heard === true ? { from: to, to: from } : { from, to })),
      rule: { cut: true },
    }),
    words: ({ heard }) => (heard === true ? 'heard by its peers, and deaf' : 'not heard by its peers'),
  },
  {
    name: 'delay',
    about: 'every packet between the nodes of a shard is late, some more than others',
    target: oneShard,
    params: (random) => ({ delayMs: random.between(5, 150), jitterMs: random.between(0, 150) }),
    fault: (_, places, { delayMs, jitterMs }) => ({
      links: among(places),
      rule: { delayMs: Number(delayMs), jitterMs: Number(jitterMs) },
    }),
    words: ({ delayMs, jitterMs }) => `${delayMs} to ${Number(delayMs) + Number(jitterMs)} ms late among each other`,
  },
  {
    name: 'loss',
    about: 'packets between the nodes of a shard, and to and from clients, are lost: pauses and resets',
    target: oneShard,
    params: (random) => ({ share: random.between(1, 20) / 100 }),
    fault: (_, places, { share }) => ({
      links: [...among(places), ...fromClients(places)],
      both: true,
      rule: { loss: Number(share) },
    }),
    words: ({ share }) => `losing ${Math.round(Number(share) * 100)} % of all packets`,
  },
  {
    name: 'trickle',
    about: 'a node hears its peers at some kilobytes per second',
    target: oneNode,
    params: (random) => ({ bytesPerSecond: random.between(2_000, 50_000) }),
    fault: (scene, [place], { bytesPerSecond }) => ({
      links: peersOf(scene, place).map(({ from, to }) => ({ from: to, to: from })),
      rule: { bytesPerSecond: Number(bytesPerSecond) },
    }),
    words: ({ bytesPerSecond }) => `reached by its peers with ${bytesPerSecond} bytes/s`,
  },
  {
    name: 'swallow',
    about: 'what clients and the gateway ask a node gets through, the answers do not',
    target: oneNode,
    params: () => ({}),
    fault: (_, places) => ({ links: fromClients(places), rule: { swallow: true } }),
    words: () => 'heard by no client',
  },
]

/** All that are done by the proxy. They share the lab with each other, and with whoever else uses it. */
export function networkFaults(shared: SharedLab): FaultKind[] {
  return KINDS.map((kind) => new NetworkFault(kind, shared))
}

let faults = 0

class NetworkFault extends LabFault implements FaultKind {
  readonly takes = 'process'

  constructor(
    private readonly kind: Kind,
    shared: SharedLab,
  ) {
    super(shared, kind, 2)
  }

  draw(shape: Shape, random: Random): FaultPlan {
    const target = this.kind.target(shape, random)
    return { kind: this.name, target, forMs: random.between(SHORTEST_MS, LONGEST_MS), params: this.kind.params(random) }
  }

  async inject(scene: Scene, { target, params }: FaultPlan): Promise<Healing> {
    const { proxy } = await this.shared.lab()
    const places = await placesOf(scene, target)
    const id = `${this.name}-${faults++}`
    await proxy.set(id, this.kind.fault(scene, places, params))
    const whom = places.map(({ words }) => words).join(', ')
    return {
      what: `${this.name}: ${whom}: ${this.kind.words(params)}`,
      shards: shardsOf(scene, places),
      heal: () => proxy.heal(id),
    }
  }
}

/** Mostly leaders: that is what hurts. Of meta, whose leader nobody is told, any node. */
function oneNode({ shards, replicas }: Shape, random: Random): Target {
  const shard = random.between(0, shards)
  const index = random.between(1, replicas)
  const whom = random.float()
  if (shard === 0 || whom > 0.8) return { of: 'node', shard, index }
  return { of: whom < 0.6 ? 'leader' : 'follower', shard }
}

function aLeader(shape: Shape, random: Random): Target {
  return { of: 'leader', shard: anyShard(shape, random) }
}

function oneShard(shape: Shape, random: Random): Target {
  return { of: 'shard', shard: anyShard(shape, random) }
}

/** From the node to each of its peers. */
export function peersOf(scene: Scene, place: Place | undefined): Link[] {
  if (place === undefined) throw new TypeError('a fault of no node')
  const peers = placesIn(scene, place.shard).filter(({ index }) => index !== place.index)
  return peers.map(({ name }) => ({ from: place.name, to: name }))
}

function among(places: readonly Place[]): Link[] {
  return places.flatMap(({ name: from }) =>
    places.filter(({ name }) => name !== from).map(({ name: to }) => ({ from, to })),
  )
}

function fromClients(places: readonly (Place | undefined)[]): Link[] {
  return places.flatMap((place) => (place === undefined ? [] : [{ from: CLIENTS, to: place.name }]))
}
