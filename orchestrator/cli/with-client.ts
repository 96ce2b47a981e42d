import { RequestWrapper } from '../client/index.js'
import type { Connection } from './context.js'

/** Does a command's work with a client of its own. */
export async function withClient<T>(
  { address, timeoutMs }: Connection,
  work: (client: RequestWrapper) => Promise<T>,
): Promise<T> {
  const client = new RequestWrapper(address, { deadlineMs: timeoutMs })
  try {
    return await work(client)
  } finally {
    client.close()
  }
}
