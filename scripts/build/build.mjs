// Brings node_modules and dist up to date with the sources. Cheap when they are: every npm script calls it first.
import { existsSync } from 'node:fs'
import { staleTargets } from './compile.mjs'
import { install, isInstalled } from './install.mjs'
import { locked } from './lock.mjs'
import { inRoot } from './root.mjs'
import { stamp } from './stamp.mjs'

/**
 * After this, what dist/ holds is what the sources say: all of it, or without what only tests need. Rejects with a Fault that
 * a person can act on.
 */
export async function build(what) {
  // A package from npm comes built, without sources.
  if (!existsSync(inRoot('tsconfig.json'))) return
  const stale = staleTargets(what)
  if (isInstalled() && stale.length === 0) return
  // Asked first, so that a missing compiler is told at once and not after a minute of installing.
  for (const target of stale) target.needs()
  await locked(async () => {
    await install()
    // Looked at again: the build that was waited for may have done it all.
    for (const target of staleTargets(what)) {
      await target.build()
      stamp(target.name).write(target.now)
    }
  })
}
