/** What a move costs is taken from clients: so much longer than it took they have everything to themselves, by default. */
const FACTOR = 3
/** A move that takes longer is of many records, and its copying is held to a rate. */
const MS_MAX = 1_000

/** How long nothing moves after a move that took so long. */
export function restAfterMove(tookMs: number, factor = FACTOR): number {
  return Math.min(factor * tookMs, MS_MAX)
}
