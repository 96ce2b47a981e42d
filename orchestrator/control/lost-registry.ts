import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { DataDirectory } from './data-directory.js'
import { pathFault, StartFault } from './faults.js'

// The registry is written before the first node is started, so nodes without it mean that it was lost. A start that went
// on would choose another cluster id, and make nodes that are strangers to those that are there.

/** What every level has at any moment. Without its log it would open, and have forgotten what was in it. */
const PARTS = [/^CURRENT$/, /^MANIFEST-/, /\.log$/]

/** Throws a StartFault when nodes lie here and the registry that knows them does not. Writes nothing. */
export function expectRegistry(directory: DataDirectory): void {
  const lost = lostRegistry(directory)
  if (lost === undefined) return
  const names = namesIn(directory.registry)
  if (!PARTS.every((part) => names.some((name) => part.test(name)))) throw lost
}

/** What to say of a registry that cannot be used or holds no cluster; undefined when no node lies here either. */
export function lostRegistry(directory: DataDirectory, cause?: unknown): StartFault | undefined {
  const identity = identityIn(directory)
  if (identity === undefined) return undefined
  return new StartFault(
    `the data directory ${directory.given} has nodes of cluster ${clusterOf(identity)}, but its registry ` +
      `${directory.registry} is missing or damaged: put it back`,
    { cause },
  )
}

/** The identity of any node. Its name decides: the nodes' folders may be links to other disks. */
function identityIn({ path }: DataDirectory): string | undefined {
  // Only what can be ours: a disk has a lost+found that is not everybody's to read.
  for (const group of namesIn(path).filter((name) => /^(?:meta|shard-\d+)$/.test(name))) {
    for (const node of namesIn(join(path, group))) {
      if (!node.startsWith('node-')) continue
      if (namesIn(join(path, group, node)).includes('identity.json')) return join(path, group, node, 'identity.json')
    }
  }
  return undefined
}

/** Only for people: a node whose identity cannot be read is a node all the same. */
function clusterOf(identity: string): string {
  try {
    const { cluster } = JSON.parse(readFileSync(identity, 'utf8')) as { cluster?: unknown }
    return typeof cluster === 'string' ? cluster : 'unknown'
  } catch {
    return 'unknown'
  }
}

/** Nothing when it is absent or no directory. */
function namesIn(path: string): string[] {
  try {
    return readdirSync(path)
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return []
    throw pathFault('the directory', path, error)
  }
}
