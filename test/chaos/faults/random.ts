// Chance for schedules and traffic: the same seed draws the same.
import { seededRng } from '../../../orchestrator/core/rng.js'

export class Random {
  readonly #float: () => number

  constructor(seed: number) {
    const rng = seededRng(seed)
    this.#float = () => rng.float()
  }

  /** Uniform in [0, 1). */
  float(): number {
    return this.#float()
  }

  /** A whole number from `min` to `max`, both included. */
  between(min: number, max: number): number {
    return min + Math.floor(this.#float() * (max - min + 1))
  }

  pick<T>(from: readonly T[]): T {
    const found = from[this.between(0, from.length - 1)]
    if (found === undefined) throw new TypeError('nothing to pick from')
    return found
  }

  chance(share: number): boolean {
    return this.#float() < share
  }

  /** One of the values, each with its share; the shares add up to 1. */
  share<T>(from: readonly (readonly [T, number])[]): T {
    let left = this.#float()
    for (const [value, share] of from) {
      left -= share
      if (left < 0) return value
    }
    return this.pick(from)[0]
  }

  /** For something that draws on its own, whatever the order of things. */
  fork(): Random {
    return new Random(Math.floor(this.#float() * 2 ** 32))
  }
}
