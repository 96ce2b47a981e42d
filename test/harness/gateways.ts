// More orchestrators of a cluster, each with a gateway of its own. They end with the cluster, since they name its data.
import { type Cluster, startOrchestrator } from './cluster.js'
import type { Program } from './process.js'

const READY = /^kvorum ready grpc=(\S+) http=\S+ shards=\d+ replicas=\d+ role=(\w+) data=/
const READY_MS_MAX = 60_000

export interface GatewayProcess {
  readonly address: string
  readonly program: Program
  /** As it said itself when it was ready; of the first one, which says nothing of it, `holder`. */
  readonly role: string
}

/** The cluster's first one. */
export function firstOf(cluster: Cluster): GatewayProcess {
  return { address: cluster.address, program: cluster.orchestrator, role: 'holder' }
}

export interface JoinOptions {
  /** Default: any free one. */
  readonly port?: string
  /** Default: the cluster's own. Anywhere else it can only route. */
  readonly data?: string
  readonly args?: readonly string[]
}

/** One more, when it is ready. */
export async function join(
  cluster: Cluster,
  via: readonly string[],
  options: JoinOptions = {},
): Promise<GatewayProcess> {
  const { port = '0', data = cluster.data, args = [] } = options
  const ports = ['--port', port, '--http-port', '0']
  const program = startOrchestrator(['--join', via.join(','), ...ports, '--data', data, ...args])
  const [, address = '', role = ''] = await program.line(READY, READY_MS_MAX)
  return { address, program, role }
}

/** The same again, as one that joins: on its port, of which its clients know. */
export function rejoin(cluster: Cluster, gone: GatewayProcess, via: readonly string[]): Promise<GatewayProcess> {
  return join(cluster, via, { port: gone.address.split(':').at(-1) })
}
