import type { Clock } from '../core/clock.js'

/** A node, as far as it matters for whether its machine is heard. */
export interface Voice {
  readonly machine: string
  /** It answers itself, whatever its agent does. */
  readonly answers: boolean
}

/** Whoever has not looked for so long has stood still, and nobody could be heard meanwhile. */
const STANDSTILL_MS = 60_000

/**
 * For how long nothing has been heard of a machine: neither of its agent nor of any node on it. Counted from when this
 * orchestrator heard it last; one that starts, or has stood still, counts from the beginning.
 */
export class Hearing {
  /** By machine, by the monotonic clock. */
  readonly #heardAt = new Map<string, number>()
  #silent: ReadonlySet<string> = new Set()
  #lookedAt: number | undefined

  constructor(
    private readonly clock: Clock,
    /** Whether its agent answers. */
    private readonly answers: (machine: string) => boolean,
  ) {}

  /** Listens to every machine on which these nodes are. To be called about every second. */
  look(nodes: readonly Voice[]): void {
    const now = this.clock.monotonic()
    if (now - (this.#lookedAt ?? now) > STANDSTILL_MS) this.#heardAt.clear()
    this.#lookedAt = now
    const machines = new Set(nodes.map(({ machine }) => machine))
    const loud = new Set(nodes.filter(({ answers }) => answers).map(({ machine }) => machine))
    const silent = [...machines].filter((machine) => !loud.has(machine) && !this.answers(machine))
    this.#silent = new Set(silent)
    for (const machine of this.#heardAt.keys()) if (!machines.has(machine)) this.#heardAt.delete(machine)
    for (const machine of machines) {
      if (!this.#silent.has(machine) || !this.#heardAt.has(machine)) this.#heardAt.set(machine, now)
    }
  }

  /** Undefined for one that was heard at the last look. */
  silentMs(machine: string): number | undefined {
    const heardAt = this.#silent.has(machine) ? this.#heardAt.get(machine) : undefined
    return heardAt === undefined ? undefined : this.clock.monotonic() - heardAt
  }

  /** Those that were not heard at the last look, and how many there are in all. */
  get silent(): { readonly machines: readonly string[]; readonly of: number } {
    return { machines: [...this.#silent], of: this.#heardAt.size }
  }

  /** Whether so many are silent that it is more likely to be this orchestrator that is cut off. */
  get isCutOff(): boolean {
    return this.#silent.size * 2 >= this.#heardAt.size && this.#silent.size > 0
  }
}
