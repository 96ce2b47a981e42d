import type { Connection, Context, Form } from './context.js'
import { EXIT } from './exit-codes.js'
import { withKv } from './with-kv.js'

/** Adds to the number that the key's value is, and prints the sum. */
export async function incr(
  key: string,
  by: bigint,
  { json }: Form,
  connection: Connection,
  { out }: Context,
): Promise<number> {
  const sum = await withKv(connection, (kv, left) => kv.increment(key, by, left()))
  // As a text: a JSON number does not hold an int64.
  out(json ? `${JSON.stringify({ ok: true, key, value: String(sum) })}\n` : `${sum}\n`)
  return EXIT.ok
}

/** What `kvorum incr` adds. Throws a TypeError for what is no int64. */
export function amountFrom(word: string): bigint {
  const by = /^[+-]?\d{1,19}$/.test(word) ? BigInt(word.replace(/^\+/, '')) : undefined
  if (by !== undefined && BigInt.asIntN(64, by) === by) return by
  throw new TypeError(`what is added must be a whole number from ${-(2n ** 63n)} to ${2n ** 63n - 1n}, not ${word}`)
}
