import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { NodeInfo } from '../core/topology.js'
import type { DataDirectory } from './data-directory.js'
import { InUseFault, StartFault } from './faults.js'
import { Registry } from './registry.js'

/**
 * Why whoever has this data directory cannot take over these nodes of meta; undefined if it is theirs, on this machine, by what
 * they wrote there themselves. Who has it can find their processes, and has the registry that knows all others.
 */
export function whyNotTheirs(directory: DataDirectory, cluster: string, meta: readonly NodeInfo[]): string | undefined {
  const ids = new Set(meta.map(({ id }) => id))
  const found = metaIn(directory)
  if (found.some((one) => one.cluster === cluster && ids.has(String(one.node)))) return undefined
  return `there is nothing of them in ${directory.given}`
}

/**
 * Throws a StartFault when the data directory is another cluster's: whoever joins with it has mistaken it. Nodes that lie there say
 * so; where others start them elsewhere (`roams`) only the registry does. One that is in use is its owner's to look at.
 */
export async function expectNotOfAnother(
  directory: DataDirectory,
  cluster: string,
  { pid, roams }: { readonly pid: number; readonly roams: boolean },
): Promise<void> {
  const clusters = metaIn(directory).flatMap((one) => (typeof one.cluster === 'string' ? [one.cluster] : []))
  if (clusters.includes(cluster)) return
  const other = clusters[0] ?? (roams ? await clusterOf(directory, pid) : undefined)
  if (other !== undefined && other !== cluster) throw otherCluster(directory, other, cluster)
}

/** That this directory is another cluster's than the one that is wanted there. */
export function otherCluster({ given }: DataDirectory, has: string, wanted: string): StartFault {
  const whose = `is of cluster ${has}, not ${wanted}`
  return new StartFault(`the data directory ${given} ${whose}: start this orchestrator with another --data`)
}

async function clusterOf(directory: DataDirectory, pid: number): Promise<string | undefined> {
  if (!existsSync(directory.registry)) return undefined
  try {
    const registry = await Registry.open(directory, pid, true)
    try {
      return (await registry.cluster())?.clusterId
    } finally {
      await registry.close()
    }
  } catch (error) {
    if (error instanceof InUseFault) return undefined
    throw error
  }
}

interface Identity {
  readonly cluster?: unknown
  readonly node?: unknown
}

/** Of meta's nodes. */
function metaIn(directory: DataDirectory): Identity[] {
  const group = dirname(directory.node({ shard: 0, index: 1 }))
  if (!existsSync(group)) return []
  return readdirSync(group).flatMap((node) => {
    const path = join(group, node, 'identity.json')
    if (!existsSync(path)) return []
    try {
      return [JSON.parse(readFileSync(path, 'utf8')) as Identity]
    } catch {
      // Half written or damaged: no reason to believe it.
      return []
    }
  })
}
