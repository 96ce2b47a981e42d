import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { NodeInfo } from '../core/topology.js'
import type { DataDirectory } from './data-directory.js'

/**
 * Whether this is the data directory of these nodes of meta, on this machine: by what they wrote there themselves. Whoever
 * has it can find their processes, and has the registry that knows all others.
 */
export function hasNodesOf(directory: DataDirectory, cluster: string, meta: readonly NodeInfo[]): boolean {
  const ids = new Set(meta.map(({ id }) => id))
  const group = dirname(directory.node({ shard: 0, index: 1 }))
  if (!existsSync(group)) return false
  return readdirSync(group).some((node) => {
    const path = join(group, node, 'identity.json')
    if (!existsSync(path)) return false
    try {
      const identity = JSON.parse(readFileSync(path, 'utf8')) as { cluster?: unknown; node?: unknown }
      return identity.cluster === cluster && ids.has(String(identity.node))
    } catch {
      // Half written or damaged: no reason to believe it.
      return false
    }
  })
}
