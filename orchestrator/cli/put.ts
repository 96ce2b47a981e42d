import { RequestWrapper } from '../client/index.js'
import type { Connection, Context, Form } from './context.js'
import { EXIT } from './exit-codes.js'

/** Sets the key's value. */
export async function put(
  key: string,
  value: string,
  { json }: Form,
  { address, timeoutMs }: Connection,
  { out }: Context,
): Promise<number> {
  const client = new RequestWrapper(address, { deadlineMs: timeoutMs })
  try {
    await client.put(key, value)
    out(json ? `${JSON.stringify({ ok: true, key })}\n` : 'ok\n')
    return EXIT.ok
  } finally {
    client.close()
  }
}
