import { once } from 'node:events'
import { createServer, type Server } from 'node:net'

/** So many ports of loopback that were free a moment ago: all are held until the last one is found. */
export async function freePorts(count: number): Promise<number[]> {
  const held: Server[] = []
  try {
    for (let i = 0; i < count; i++) {
      const server = createServer().listen(0, '127.0.0.1')
      held.push(server)
      await once(server, 'listening')
    }
    return held.map(portOf)
  } finally {
    await Promise.all(held.map((server) => once(server.close(), 'close')))
  }
}

function portOf(server: Server): number {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new TypeError('a server without a port')
  return address.port
}
