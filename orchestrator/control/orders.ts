/**
 * - `silent`: its process runs and has not said anything yet, or has stopped answering
 * - `up`: it answers
 * - `down`: its process ended and will be started again
 * - `held`: its process ended and will not be started again
 * - `stopped`: as was asked
 * - `left`: nobody could tell it to stop, and it goes on
 */
export type Condition = 'silent' | 'up' | 'down' | 'held' | 'stopped' | 'left'

/**
 * What a supervisor was told to do with its process. A restart is done when the process has ended; the others are for good,
 * but that a restart also ends a hold.
 */
export interface Order {
  readonly kind: 'restart' | 'hold' | 'release' | 'leave' | 'end'
  /** How long its process may take to end. */
  readonly timeoutMs: number
}

/** Of two orders the greater one stands, and of two that are alike the first. */
const RANK: Readonly<Record<Order['kind'], number>> = { restart: 0, hold: 1, release: 2, leave: 2, end: 2 }

export function outranks(one: Order, other: Order): boolean {
  return RANK[one.kind] > RANK[other.kind]
}
