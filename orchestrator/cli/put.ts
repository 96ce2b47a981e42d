import type { Connection, Context, Form } from './context.js'
import { EXIT } from './exit-codes.js'
import type { LeaseFlag } from './lease.js'
import type { TtlFlag } from './ttl.js'
import { withKv } from './with-kv.js'

/** Sets the key's value, for ever, for a time, or for as long as a lease lives. */
export async function put(
  key: string,
  value: string,
  { ttl, lease }: TtlFlag & LeaseFlag,
  { json }: Form,
  connection: Connection,
  { out }: Context,
): Promise<number> {
  const lives = { ...(ttl !== undefined && { ttlMs: ttl }), ...(lease !== undefined && { lease }) }
  await withKv(connection, (kv, left) => kv.put(key, value, { ...left(), ...lives }))
  out(json ? `${JSON.stringify({ ok: true, key })}\n` : 'ok\n')
  return EXIT.ok
}
