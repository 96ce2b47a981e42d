// Knows whether something built is still what its sources say, by their content: a checkout that touches times does
// not rebuild, an edit that keeps them does. Reading all sources takes a few hundredths of a second.
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { inRoot } from './root.mjs'

/** A digest of the named files and folders (below the root) and of what else the result depends on. */
export function digest({ paths, matching, also }) {
  const hash = createHash('sha256').update(JSON.stringify(also))
  for (const path of paths) addTo(hash, path, matching)
  return hash.digest('hex')
}

function addTo(hash, path, matching) {
  const entries = readdirOrFile(path)
  if (entries === undefined) {
    const content = readFileSync(inRoot(path))
    hash.update(`${path} ${content.length}\n`).update(content)
    return
  }
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (entry.isDirectory() || (entry.isFile() && matching.test(entry.name))) {
      addTo(hash, join(path, entry.name), matching)
    }
  }
}

function readdirOrFile(path) {
  try {
    return readdirSync(inRoot(path), { withFileTypes: true })
  } catch (error) {
    if (error.code === 'ENOTDIR') return undefined
    throw error
  }
}

/** The stamp of one target: what it was built from, written only after it was built whole. */
export function stamp(name) {
  const path = inRoot('dist', `.${name}.stamp`)
  return {
    is: (value) => existsSync(path) && readFileSync(path, 'utf8') === value,
    write: (value) => {
      mkdirSync(dirname(path), { recursive: true })
      writeFileSync(`${path}.new`, value)
      renameSync(`${path}.new`, path)
    },
  }
}
