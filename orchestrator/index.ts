// What `import ... from 'kvorum'` gives: the clients, and a server. Programs that only ask may take kvorum/client, which cannot
// load anything of a server.
import type { Server, ServerOptions } from './server.js'

export * from './client/public.js'
export type { Server, ServerOptions } from './server.js'

/**
 * Starts Kvorum in this process (its nodes are processes of their own), or joins one that runs. Resolves when every shard has a
 * leader. Rejects with an Error that says what to do; nothing is left running then. `close` it: the nodes outlive a process that
 * only ends, and the next start on the same data finds them.
 */
export async function startServer(options: ServerOptions = {}): Promise<Server> {
  // Only now: whoever imports the clients alone has none of it in memory.
  const server = await import('./server.js')
  return server.startServer(options)
}
