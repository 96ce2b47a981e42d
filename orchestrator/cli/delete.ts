import { RequestWrapper } from '../client/index.js'
import type { Connection, Context, Form } from './context.js'
import { EXIT } from './exit-codes.js'

/** Deletes the key. That it had no value is no failure: afterwards it has none. */
export async function remove(
  key: string,
  { json }: Form,
  { address, timeoutMs }: Connection,
  { out }: Context,
): Promise<number> {
  const client = new RequestWrapper(address, { deadlineMs: timeoutMs })
  try {
    await client.delete(key)
    out(json ? `${JSON.stringify({ ok: true, key })}\n` : 'ok\n')
    return EXIT.ok
  } finally {
    client.close()
  }
}
