import type { Connection, Context, Form } from './context.js'
import { EXIT } from './exit-codes.js'
import { withKv } from './with-kv.js'

/** Deletes the key. That it had no value is said and no failure: afterwards it has none. */
export async function remove(key: string, { json }: Form, connection: Connection, { out }: Context): Promise<number> {
  const { existed } = await withKv(connection, (kv, left) => kv.delete(key, left()))
  if (json) out(`${JSON.stringify({ ok: true, key, existed })}\n`)
  else out(existed ? 'ok\n' : 'ok, though the key had no value\n')
  return EXIT.ok
}
