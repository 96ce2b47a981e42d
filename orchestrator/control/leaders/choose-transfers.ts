// Pure: which leaders are to move, and where to.

/** A member of a group that leads it, or could now. */
export interface Seat {
  /** Of the node in its group. */
  readonly index: number
  readonly machine: string
  /** Why it is to lead nothing. */
  readonly unfit?: 'drained' | 'slow'
}

/** A group that has a leader. */
export interface Led {
  readonly shard: number
  readonly leader: Seat
  /** Those who could lead instead: well, and caught up. */
  readonly others: readonly Seat[]
  /** Nothing is moved: an operation is at work on it. */
  readonly isBusy: boolean
  /** It is not moved only to be somewhere else: it was a moment ago, or an operation will come to it. */
  readonly rests: boolean
}

export interface Transfer {
  readonly shard: number
  readonly from: Seat
  readonly to: Seat
  readonly why: 'drained' | 'slow' | 'uneven'
}

/**
 * The fewest transfers after which nobody leads who is unfit and could be replaced, and leaders are spread over the machines as
 * evenly as that is possible; nothing moves between machines of which one has only one leader more than the other. Leaders are
 * counted, not weighed: a machine with many leaders has many clients, and who writes how much may be another one tomorrow.
 * The most urgent comes first. They may be carried out one at a time, and be asked for anew after each.
 */
export function chooseTransfers(groups: readonly Led[]): Transfer[] {
  const plan = new Plan(groups)
  while (plan.improve()) {}
  return plan.transfers()
}

/** What a leader more than another one costs, in transfers: no number of them is worth it. */
const EVENNESS = 1_000_000

/** One step of a cycle in which leaders are passed on. The sink stands for what a machine gets and gives without return. */
interface Edge {
  readonly from: string
  readonly to: string
  readonly cost: number
  /** Undefined: to or from the sink. */
  readonly move?: { readonly group: Led; readonly to: Seat }
}

const SINK = ''

/**
 * A flow of least cost: each group flows to the machine that leads it, and the cost of a machine is the square of its leaders.
 * It is the least when no cycle of changes makes it less. So such cycles are carried out, one after the other: each makes a
 * whole number less that cannot fall below 0, and ends.
 */
class Plan {
  /** Who is to lead each group. */
  readonly #seats = new Map<Led, Seat>()
  readonly #loads = new Map<string, number>()

  constructor(private readonly groups: readonly Led[]) {
    for (const { leader, others } of groups) {
      for (const { machine, unfit } of [leader, ...others]) if (unfit === undefined) this.#loads.set(machine, 0)
    }
    for (const group of groups) {
      const [refuge] = fitOthers(group)
      const mustGo = group.leader.unfit !== undefined && !group.isBusy && refuge !== undefined
      this.#sit(group, mustGo ? refuge : group.leader)
    }
  }

  transfers(): Transfer[] {
    const loads = new Map<string, number>()
    for (const { leader } of this.groups) loads.set(leader.machine, (loads.get(leader.machine) ?? 0) + 1)
    const load = ({ machine }: Seat) => loads.get(machine) ?? 0
    const urgency = ({ from, to, why }: Transfer) => [['drained', 'slow', 'uneven'].indexOf(why), load(to) - load(from)]
    const all = this.groups.flatMap((group) => {
      const [from, to] = [group.leader, this.#seatOf(group)]
      return from === to ? [] : [{ shard: group.shard, from, to, why: from.unfit ?? ('uneven' as const) }]
    })
    const keyed = all.map((one) => ({ one, key: urgency(one) }))
    keyed.sort((a, b) => (a.key[0] ?? 0) - (b.key[0] ?? 0) || (a.key[1] ?? 0) - (b.key[1] ?? 0))
    return keyed.map(({ one }) => one)
  }

  /** Carries out one cycle of changes that makes it better; false when there is none. */
  improve(): boolean {
    const cycle = negativeCycle([SINK, ...this.#loads.keys()], this.#edges())
    for (const { move } of cycle) if (move !== undefined) this.#sit(move.group, move.to)
    return cycle.length > 0
  }

  #edges(): Edge[] {
    const edges: Edge[] = []
    for (const [machine, load] of this.#loads) {
      // What the square of its leaders gets greater by with one more, and less by with one less.
      edges.push({ from: machine, to: SINK, cost: EVENNESS * (2 * load + 1) })
      if (load > 0) edges.push({ from: SINK, to: machine, cost: -EVENNESS * (2 * load - 1) })
    }
    for (const group of this.groups) {
      const now = this.#seatOf(group)
      if (group.isBusy || now.unfit !== undefined || (group.rests && now === group.leader)) continue
      for (const to of [group.leader, ...fitOthers(group)]) {
        if (to.unfit !== undefined || to.machine === now.machine) continue
        const cost = costOf(group, to) - costOf(group, now)
        edges.push({ from: now.machine, to: to.machine, cost, move: { group, to } })
      }
    }
    return edges
  }

  #seatOf(group: Led): Seat {
    return this.#seats.get(group) ?? group.leader
  }

  #sit(group: Led, seat: Seat): void {
    const before = this.#seats.get(group)
    this.#count(before, -1)
    this.#count(seat, 1)
    this.#seats.set(group, seat)
  }

  /** Whoever is unfit and leads on, since nobody else can, is no reason to lead less elsewhere. */
  #count(seat: Seat | undefined, change: number): void {
    if (seat === undefined || seat.unfit !== undefined) return
    this.#loads.set(seat.machine, (this.#loads.get(seat.machine) ?? 0) + change)
  }
}

function fitOthers({ others }: Led): Seat[] {
  return others.filter(({ unfit }) => unfit === undefined)
}

/** In transfers. Who has to move anyhow may move anywhere. */
function costOf({ leader }: Led, seat: Seat): number {
  return leader.unfit !== undefined || seat === leader ? 0 : 1
}

/** A cycle of edges whose costs are together below 0, each group at most once; empty when there is none. Bellman and Ford. */
function negativeCycle(nodes: readonly string[], edges: readonly Edge[]): Edge[] {
  // As if there was an edge to each from a place before all: every cycle is reached.
  const costs = new Map(nodes.map((node) => [node, 0]))
  const last = new Map<string, Edge>()
  let changed: string | undefined
  for (let round = 0; round < nodes.length; round++) {
    changed = undefined
    for (const edge of edges) {
      const cost = (costs.get(edge.from) ?? 0) + edge.cost
      if (cost >= (costs.get(edge.to) ?? 0)) continue
      costs.set(edge.to, cost)
      last.set(edge.to, edge)
      changed = edge.to
    }
    if (changed === undefined) return []
  }
  // Something changes still after so many rounds: going back as many steps ends in a cycle.
  let at = changed ?? SINK
  for (let step = 0; step < nodes.length; step++) at = last.get(at)?.from ?? at
  const cycle: Edge[] = []
  for (let edge = last.get(at); edge !== undefined && !cycle.includes(edge); edge = last.get(edge.from))
    cycle.push(edge)
  return cycle
}
