import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs'

// How far an import or an export is, in a small file beside the data: what goes on after a kill is decided by it alone.

/** What the file holds, or undefined when there is none. Throws a TypeError for one that is none of ours. */
export function readState<State extends { readonly format: 1 }>(path: string): State | undefined {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new TypeError(`${path} cannot be read: ${(error as Error).message}`, { cause: error })
  }
  try {
    const state = JSON.parse(text) as State
    if (state.format === 1) return state
  } catch {
    // Told below.
  }
  throw new TypeError(`${path} does not say how far it was: remove it to begin anew`)
}

/** Durable on return, and the old one or the new one at every moment. Throws a TypeError where nothing can be written. */
export function writeState(path: string, state: { readonly format: 1 }): void {
  try {
    replace(path, `${JSON.stringify(state)}\n`)
  } catch (error) {
    throw new TypeError(`how far it is cannot be kept in ${path}: ${(error as Error).message}`, { cause: error })
  }
}

function replace(path: string, text: string): void {
  const fresh = `${path}.new`
  const file = openSync(fresh, 'w', 0o600)
  try {
    writeSync(file, text)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  renameSync(fresh, path)
}

export function removeState(path: string): void {
  rmSync(path, { force: true })
  rmSync(`${path}.new`, { force: true })
}
