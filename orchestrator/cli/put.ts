import type { Connection, Context, Form } from './context.js'
import { EXIT } from './exit-codes.js'
import { withClient } from './with-client.js'

/** Sets the key's value, for ever or for a time. */
export async function put(
  key: string,
  value: string,
  ttlMs: number | undefined,
  { json }: Form,
  connection: Connection,
  { out }: Context,
): Promise<number> {
  await withClient(connection, (client) => client.put(key, value, ttlMs === undefined ? {} : { ttlMs }))
  out(json ? `${JSON.stringify({ ok: true, key })}\n` : 'ok\n')
  return EXIT.ok
}
