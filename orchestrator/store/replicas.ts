import type { Call } from './call.js'
import type { Node } from './node.js'

/**
 * Whom reads with a bound of staleness are asked: the nodes in turn, the leader among them, each once per round. One that has
 * been asked by a call, or cannot be asked now, is passed over; when nobody is left the call goes to the leader, as any other.
 */
export class Replicas {
  #turn = 0

  /** Undefined: nobody is left, and the next pick begins a new round. */
  pick(nodes: ReadonlyMap<string, Node>, call: Call): Node | undefined {
    const left = leftFor(nodes, call)
    // A connection that is being made may be to a process that has stopped: who is known to be there comes first.
    const open = left.filter(({ lane }) => lane.open)
    if (open.length < left.length) for (const { lane } of left) lane.warm()
    const among = open.length > 0 ? open : left
    const picked = among[this.#turn++ % among.length]
    if (picked === undefined) call.asked = undefined
    else if (call.asked === undefined) call.asked = new Set([picked])
    else call.asked.add(picked)
    return picked
  }

  /** Whether there is another one to ask in this round. */
  another(nodes: ReadonlyMap<string, Node>, call: Call): boolean {
    return call.asked !== undefined && leftFor(nodes, call).length > 0
  }
}

function leftFor(nodes: ReadonlyMap<string, Node>, { asked }: Call): Node[] {
  return [...nodes.values()].filter((node) => node.lane.usable && !asked?.has(node))
}
