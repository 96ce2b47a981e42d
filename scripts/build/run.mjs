import { pathToFileURL } from 'node:url'
import { build } from './build.mjs'
import { die } from './fault.mjs'
import { inRoot } from './root.mjs'

/** Installs and compiles what is not current; ends the process with one line and code 1 when that fails. */
export async function buildOnly() {
  await build().catch(die)
}

/** The same, then runs a program of dist/ in this process: it finds its arguments in process.argv. */
export async function buildAndRun(program, { forTests = program.startsWith('test/') } = {}) {
  try {
    await build({ forTests })
    await import(pathToFileURL(inRoot('dist', program)).href)
  } catch (error) {
    die(error)
  }
}
