import type { Connection, Context, Form } from './context.js'
import { EXIT } from './exit-codes.js'
import { withClient } from './with-client.js'

/** Adds to the end of the key's value and prints how many bytes it has now. */
export async function append(
  key: string,
  value: string,
  { json }: Form,
  connection: Connection,
  { out }: Context,
): Promise<number> {
  const length = await withClient(connection, (client) => client.append(key, value))
  out(json ? `${JSON.stringify({ ok: true, key, length })}\n` : `${length}\n`)
  return EXIT.ok
}
