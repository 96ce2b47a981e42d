// npm ci, when what is installed is not what the lock file says.
import { existsSync, readFileSync } from 'node:fs'
import { inRoot } from './root.mjs'
import { step } from './step.mjs'

export const isInstalled = () => staleness() === undefined

/** Installs if it must. */
export async function install() {
  const reason = staleness()
  if (reason === undefined) return
  await step(`installing npm packages (${reason})`, [
    ...npm(),
    'ci',
    '--ignore-scripts',
    '--include=dev',
    '--no-audit',
    '--no-fund',
  ])
}

/**
 * Why node_modules must be installed again, or undefined. npm writes its own record of what it installed as the last
 * step of an installation, so an interrupted one has none; compared with the lock file it also tells a stale one.
 */
function staleness() {
  const installed = inRoot('node_modules', '.package-lock.json')
  if (!existsSync(installed)) return 'first time'
  const present = packages(installed)
  for (const [path, wanted] of Object.entries(packages(inRoot('package-lock.json')))) {
    // The package itself, and what npm may leave out on this platform.
    if (path === '' || wanted.optional) continue
    if (present[path]?.version !== wanted.version) return 'package-lock.json has changed'
  }
  return undefined
}

function packages(path) {
  return JSON.parse(readFileSync(path, 'utf8')).packages
}

/** The npm that runs us, or the one on the PATH. */
function npm() {
  const running = process.env.npm_execpath
  return running?.endsWith('.js') ? [process.execPath, running] : ['npm']
}
