import { type Rng, seededRng } from '../../core/rng.js'

/** Decisions from one seed. */
export class Chance {
  readonly #rng: Rng

  constructor(seed: number) {
    this.#rng = seededRng(seed)
  }

  /** In [0, 1). */
  float(): number {
    return this.#rng.float()
  }

  happens(probability: number): boolean {
    return this.float() < probability
  }

  /** A whole number in [0, limit). */
  below(limit: number): number {
    return Math.floor(this.float() * limit)
  }

  /** A whole number in [least, most]. */
  between(least: number, most: number): number {
    return least + this.below(most - least + 1)
  }

  pick<Item>(items: readonly Item[]): Item {
    if (items.length === 0) throw new Error('nothing to choose from')
    return items[this.below(items.length)] as Item
  }

  shuffled<Item>(items: readonly Item[]): Item[] {
    const rest = [...items]
    return items.map(() => rest.splice(this.below(rest.length), 1)[0] as Item)
  }
}
