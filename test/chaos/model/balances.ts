// Atomicity: accounts of one hash tag between which transactions transfer. Nothing comes in and nothing goes out, so that whoever
// reads all of them at one moment sees the sum that there was in the beginning, whatever the order of things was.
import type { HistoryLine } from './format.js'

/** In one group: few, so that transfers meet. */
export const ACCOUNTS = 4

/** What is wrong, in words. A group of accounts begins with none, which is nothing. */
export function balanceFaults(lines: readonly HistoryLine[]): string[] {
  return lines.flatMap(({ id, client, key, op, balances }) => {
    const sum = (balances ?? []).reduce<number>((total, balance) => total + (balance ?? 0), 0)
    return sum === 0
      ? []
      : [`${op} ${id} of ${key} by ${client} saw accounts of ${sum} in all, of which nothing was ever paid in`]
  })
}
