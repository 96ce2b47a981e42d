import type { Connection, Context, Form } from './context.js'
import { EXIT } from './exit-codes.js'
import { withClient } from './with-client.js'

/** Deletes the key. That it had no value is no failure: afterwards it has none. */
export async function remove(key: string, { json }: Form, connection: Connection, { out }: Context): Promise<number> {
  await withClient(connection, (client) => client.delete(key))
  out(json ? `${JSON.stringify({ ok: true, key })}\n` : 'ok\n')
  return EXIT.ok
}
