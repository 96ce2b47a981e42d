// What the suite draws by chance. The seed that a failing run prints runs the same operations again.
import { seededRng } from '../../orchestrator/core/rng.js'

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789'

export interface Random {
  /** A whole number in [0, limit); 0 when the limit is 0. */
  below(limit: number): number
  /** `min` to `max` characters of A-Z0-9, both included. */
  text(min: number, max: number): string
  /** One of the values, each with its share; the shares add up to 1. */
  pick<T>(shares: readonly (readonly [T, number])[]): T
}

export function seeded(seed: number): Random {
  const rng = seededRng(seed)
  const below = (limit: number): number => Math.floor(rng.float() * limit)
  return {
    below,
    text: (min, max) =>
      Array.from({ length: min + below(max - min + 1) }, () => LETTERS.charAt(below(LETTERS.length))).join(''),
    pick: (shares) => {
      let left = rng.float()
      for (const [value, share] of shares) {
        left -= share
        if (left < 0) return value
      }
      const last = shares.at(-1)
      if (last === undefined) throw new TypeError('pick needs something to choose from')
      return last[0]
    },
  }
}
