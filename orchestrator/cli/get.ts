import type { Connection, Context, Form } from './context.js'
import { EXIT } from './exit-codes.js'
import { withClient } from './with-client.js'
import { shown } from './words.js'

/** Prints the key's value. */
export async function get(
  key: string,
  staleMs: number | undefined,
  { json }: Form,
  connection: Connection,
  { out, warn }: Context,
): Promise<number> {
  const value = await withClient(connection, (client) => client.get(key, staleMs === undefined ? {} : { staleMs }))
  if (json) {
    out(`${JSON.stringify({ ok: true, key, value })}\n`)
    return value === null ? EXIT.absent : EXIT.ok
  }
  if (value === null) {
    warn(`kvorum: the key ${shown(key)} has no value\n`)
    return EXIT.absent
  }
  out(`${value}\n`)
  return EXIT.ok
}
