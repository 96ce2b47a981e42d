// Keys in an order that looks like chance and is the same for every contender.

/** The names of the keys, made once: making one costs more than choosing one. */
export function keysOf(prefix: string, count: number): string[] {
  const digits = String(count - 1).length
  return Array.from({ length: count }, (_, at) => `${prefix}-${String(at).padStart(digits, '0')}`)
}

/** Whole numbers from 0 to `below` - 1, evenly spread. Marsaglia's xorshift: three shifts a number. */
export function numbersBelow(below: number, seed: number): () => number {
  // Zero is the one state that it never leaves.
  let state = seed | 0 || 1
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return Math.floor(((state >>> 0) / 2 ** 32) * below)
  }
}
