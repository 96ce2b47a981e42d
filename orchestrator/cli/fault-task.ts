// What `kvorum fault` was asked to do, from its words.

/** What can be done to a node of a running cluster on this machine. */
export const FAULTS = ['pause', 'kill', 'partition', 'delay', 'heal'] as const

/** `in`: nothing reaches the node; `out`: it reaches nobody. */
export const DIRECTIONS = ['in', 'out', 'both'] as const
export type Direction = (typeof DIRECTIONS)[number]

interface OfNode {
  /** Its name as `kvorum status` shows it, "shard-1/node-2", or its id. */
  readonly node: string
}

interface ForAWhile extends OfNode {
  /** After so long it is healed, whatever becomes of this process. */
  readonly forMs: number
}

export type NetworkFault =
  | (ForAWhile & { readonly fault: 'partition'; readonly direction: Direction })
  | (ForAWhile & { readonly fault: 'delay'; readonly delayMs: number; readonly jitterMs: number })

export type FaultTask =
  | NetworkFault
  | (ForAWhile & { readonly fault: 'pause' })
  | (OfNode & { readonly fault: 'kill' })
  /** Without a node: all of them. */
  | { readonly fault: 'heal'; readonly node: string | undefined }

/** As commander gives them. */
export interface FaultFlags {
  readonly for?: number
  readonly direction?: string
  readonly ms?: number
  readonly jitter?: number
  readonly all?: boolean
}

export const DEFAULT_FOR_S = 30
export const DEFAULT_DELAY_MS = 100

const FLAGS: Readonly<Record<(typeof FAULTS)[number], readonly (keyof FaultFlags)[]>> = {
  pause: ['for'],
  kill: [],
  partition: ['for', 'direction'],
  delay: ['for', 'ms', 'jitter'],
  heal: ['all'],
}

/** Throws a TypeError. A word that would do nothing is refused: who gave it expects that it does something. */
export function taskOf(what: string, node: string | undefined, flags: FaultFlags): FaultTask {
  const fault = FAULTS.find((one) => one === what)
  if (fault === undefined) throw new TypeError(`no fault is called ${what}; there are ${FAULTS.join(', ')}`)
  for (const name of ['for', 'direction', 'ms', 'jitter', 'all'] as const) {
    if (flags[name] === undefined || FLAGS[fault].includes(name)) continue
    const takers = FAULTS.filter((one) => FLAGS[one].includes(name))
    throw new TypeError(`fault ${fault} takes no --${name}, which is for ${takers.join(', ')}`)
  }
  if (fault === 'heal') return { fault, node: healed(node, flags) }
  if (node === undefined) throw new TypeError(`fault ${fault} which node? kvorum status shows their names`)
  const forMs = (flags.for ?? DEFAULT_FOR_S) * 1_000
  if (fault === 'partition') return { fault, node, forMs, direction: directionOf(flags.direction ?? 'both') }
  if (fault === 'delay') {
    return { fault, node, forMs, delayMs: flags.ms ?? DEFAULT_DELAY_MS, jitterMs: flags.jitter ?? 0 }
  }
  return fault === 'pause' ? { fault, node, forMs } : { fault, node }
}

function healed(node: string | undefined, { all = false }: FaultFlags): string | undefined {
  if (all === (node === undefined)) return node
  throw new TypeError('fault heal takes the name of a node, or --all')
}

function directionOf(word: string): Direction {
  const direction = DIRECTIONS.find((one) => one === word)
  if (direction !== undefined) return direction
  throw new TypeError(`--direction is one of ${DIRECTIONS.join(', ')}, not ${word}`)
}
