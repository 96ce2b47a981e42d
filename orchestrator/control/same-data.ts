import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { NodeInfo } from '../core/topology.js'
import type { DataDirectory } from './data-directory.js'

/**
 * Why whoever has this data directory cannot take over these nodes of meta; undefined if it is theirs, on this machine, by what
 * they wrote there themselves. Who has it can find their processes, and has the registry that knows all others.
 */
export function whyNotTheirs(directory: DataDirectory, cluster: string, meta: readonly NodeInfo[]): string | undefined {
  const ids = new Set(meta.map(({ id }) => id))
  const found = identitiesIn(dirname(directory.node({ shard: 0, index: 1 })))
  if (found.some((one) => one.cluster === cluster && ids.has(String(one.node)))) return undefined
  const other = found.find((one) => one.cluster !== cluster)
  if (other !== undefined)
    return `${directory.given} is of another cluster, ${String(other.cluster)}, which is left alone`
  return `there is nothing of them in ${directory.given}`
}

interface Identity {
  readonly cluster?: unknown
  readonly node?: unknown
}

function identitiesIn(group: string): Identity[] {
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
