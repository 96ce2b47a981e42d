// What is kept of a cluster that has broken its word: everything.
import { cpSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Cluster } from '../../harness/cluster.js'
import { until } from '../../harness/wait.js'

/** Ends it by force, so that its files stay as they are. Its nodes' logs are in their directories. */
export async function keepCluster(cluster: Cluster, out: string): Promise<void> {
  cluster.killAll()
  await cluster.orchestrator.ended
  await until('every node to be gone', () => cluster.processes().length === 0)
  mkdirSync(out, { recursive: true })
  writeFileSync(join(out, 'orchestrator.log'), cluster.log)
  cpSync(cluster.data, join(out, 'cluster'), { recursive: true })
}
