import { RequestWrapper } from '../client/index.js'
import type { Connection, Context } from './context.js'
import { EXIT } from './exit-codes.js'

/** Prints the key's value. */
export async function get(key: string, { address, timeoutMs }: Connection, { out, warn }: Context): Promise<number> {
  const client = new RequestWrapper(address, { deadlineMs: timeoutMs })
  try {
    const value = await client.get(key)
    if (value === null) {
      warn(`kvorum: the key ${JSON.stringify(key)} has no value\n`)
      return EXIT.absent
    }
    out(`${value}\n`)
    return EXIT.ok
  } finally {
    client.close()
  }
}
