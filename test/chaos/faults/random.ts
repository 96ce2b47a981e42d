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

  /** A seed for something that draws on its own. */
  seed(): number {
    return Math.floor(this.#float() * 2 ** 32)
  }
}
