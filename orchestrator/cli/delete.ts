import { RequestWrapper } from '../client/index.js'
import type { Connection, Context } from './context.js'
import { EXIT } from './exit-codes.js'

/** Deletes the key. That it had no value is no failure: afterwards it has none. */
export async function remove(key: string, { address, timeoutMs }: Connection, { out }: Context): Promise<number> {
  const client = new RequestWrapper(address, { deadlineMs: timeoutMs })
  try {
    await client.delete(key)
    out('ok\n')
    return EXIT.ok
  } finally {
    client.close()
  }
}
