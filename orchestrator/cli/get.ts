import { RequestWrapper } from '../client/index.js'
import type { Connection, Context, Form } from './context.js'
import { EXIT } from './exit-codes.js'
import { shown } from './words.js'

/** Prints the key's value. */
export async function get(
  key: string,
  { json }: Form,
  { address, timeoutMs }: Connection,
  { out, warn }: Context,
): Promise<number> {
  const client = new RequestWrapper(address, { deadlineMs: timeoutMs })
  try {
    const value = await client.get(key)
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
  } finally {
    client.close()
  }
}
