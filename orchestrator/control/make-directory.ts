import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'

/**
 * Makes a directory and what is missing above it. Node's own `recursive` never returns where the file system says that
 * a directory's existing parent is absent, as /proc does.
 */
export function makeDirectory(path: string): void {
  if (tryMake(path)) return
  makeDirectory(dirname(path))
  // A second refusal is meant: the parent is there now.
  mkdirSync(path)
}

/** False if the parent is missing. */
function tryMake(path: string): boolean {
  try {
    mkdirSync(path)
    return true
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST') return true
    if (code === 'ENOENT' && dirname(path) !== path) return false
    throw error
  }
}
