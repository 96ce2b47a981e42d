// Which machines are too slow to lead on, from what their nodes tell of their appends.

/** A node that answers. */
export interface Paced {
  readonly shard: number
  readonly machine: string
  /** The median of its last appends; 0: not worth telling, or not known. */
  readonly appendUs: number
}

interface Limits {
  /** Below it no disk is slow. */
  readonly leastUs: number
  /** So many times as long as the others of its group take. */
  readonly times: number
}

const SLOW: Limits = { leastUs: 20_000, times: 5 }
/** Further down, so that a disk at the limit is not slow and well in turn. */
const STILL_SLOW: Limits = { leastUs: 10_000, times: 2.5 }

/** For how long a machine must have been slow to count as slow, by default, and well to count as well again. */
export const SLOW_AFTER_MS = 10_000
export const WELL_AFTER_MS = 60_000

/** Machines that are slow, and have been for a while. One that hangs is none of them: its nodes end by themselves. */
export class Slowness {
  readonly #slow = new Set<string>()
  /** Since when each machine has not been what it counts as. */
  readonly #since = new Map<string, number>()

  constructor(private readonly slowAfterMs = SLOW_AFTER_MS) {}

  get slow(): ReadonlySet<string> {
    return this.#slow
  }

  /** Takes in how the nodes are at `now`, by any monotonic clock. Gives the machines of which it thinks otherwise since. */
  observe(now: number, nodes: readonly Paced[]): string[] {
    const machines = new Set(nodes.map(({ machine }) => machine))
    // Of one that cannot be heard nothing is known, and nobody there is handed anything.
    for (const machine of this.#since.keys()) if (!machines.has(machine)) this.#since.delete(machine)
    const turned = [...machines].filter((machine) => this.#isDue(machine, now, nodes))
    for (const machine of turned) {
      this.#since.delete(machine)
      if (!this.#slow.delete(machine)) this.#slow.add(machine)
    }
    return turned
  }

  #isDue(machine: string, now: number, nodes: readonly Paced[]): boolean {
    const was = this.#slow.has(machine)
    if (isSlow(machine, nodes, was ? STILL_SLOW : SLOW) === was) {
      this.#since.delete(machine)
      return false
    }
    const since = this.#since.get(machine) ?? now
    this.#since.set(machine, since)
    return now - since >= (was ? WELL_AFTER_MS : this.slowAfterMs)
  }
}

/**
 * Whether most of its nodes of which anything is known are slow. Each is compared with those of its group on other machines, which
 * write the same: a shard with great values is slow on all of its machines, and none of them is to blame.
 */
function isSlow(machine: string, nodes: readonly Paced[], { leastUs, times }: Limits): boolean {
  const own = nodes.filter((node) => node.machine === machine && node.appendUs > 0)
  const slow = own.filter(({ shard, appendUs }) => {
    const others = nodes.filter((node) => node.shard === shard && node.machine !== machine).map((one) => one.appendUs)
    return others.length > 0 && appendUs > leastUs && appendUs > times * median(others)
  })
  return slow.length * 2 > own.length
}

/** Of two in the middle the greater one: as long as as many others are slow as not, it is not the machine. */
function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}
