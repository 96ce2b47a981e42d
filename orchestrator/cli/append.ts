import { RequestWrapper } from '../client/index.js'
import type { Connection, Context, Form } from './context.js'
import { EXIT } from './exit-codes.js'

/** Adds to the end of the key's value and prints how many bytes it has now. */
export async function append(
  key: string,
  value: string,
  { json }: Form,
  { address, timeoutMs }: Connection,
  { out }: Context,
): Promise<number> {
  const client = new RequestWrapper(address, { deadlineMs: timeoutMs })
  try {
    const length = await client.append(key, value)
    out(json ? `${JSON.stringify({ ok: true, key, length })}\n` : `${length}\n`)
    return EXIT.ok
  } finally {
    client.close()
  }
}
