import { randomBytes } from 'node:crypto'

/** Where production code takes chance from, so that tests can repeat theirs. */
export interface Rng {
  /** Uniform in [0, 1). For jitter and spreading; never for secrets. */
  float(): number
  /** A new 128-bit id in hex that nobody else has. */
  id(): string
}

export const systemRng: Rng = {
  float: () => Math.random(),
  id: () => randomBytes(16).toString('hex'),
}

/** The same numbers for the same seed (mulberry32). */
export function seededRng(seed: number): Rng {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return (mixed ^ (mixed >>> 14)) >>> 0
  }
  return {
    float: () => next() / 2 ** 32,
    id: () => Array.from({ length: 4 }, () => next().toString(16).padStart(8, '0')).join(''),
  }
}
