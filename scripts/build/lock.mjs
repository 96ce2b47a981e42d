// One build at a time: `npm start` in one terminal and `npm test` in the next share node_modules and dist.
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { inRoot } from './root.mjs'
import { tell } from './step.mjs'

const LOOK_EVERY_MS = 200
const TELL_EVERY_MS = 3_000

/** Runs `work` while holding the lock. A lock whose owner is dead is taken over. */
export async function locked(work) {
  const path = inRoot('dist', '.build.lock')
  mkdirSync(inRoot('dist'), { recursive: true })
  const began = performance.now()
  let tellAt = began
  while (!take(path)) {
    const owner = ownerOf(path)
    if (owner === undefined || !isAlive(owner)) {
      release(path, owner)
      continue
    }
    const now = performance.now()
    if (now >= tellAt) {
      tell(`another build is running (pid ${owner}): waiting for it ... ${((now - began) / 1000).toFixed(1)} s`)
      tellAt = now + TELL_EVERY_MS
    }
    await pause(LOOK_EVERY_MS)
  }
  try {
    return await work()
  } finally {
    rmSync(path, { force: true })
  }
}

/** Linked and not created: the lock never exists without its owner in it, or who looks first would call it abandoned. */
function take(path) {
  const mine = `${path}.${process.pid}`
  writeFileSync(mine, String(process.pid))
  return linked(mine, path)
}

/**
 * Removes the lock of an owner that is dead. Moved aside and looked at before it is gone: another process that found
 * it dead too may have taken it over since, and then it is put back.
 */
function release(path, dead) {
  const aside = `${path}.${process.pid}`
  try {
    renameSync(path, aside)
  } catch (error) {
    if (error.code === 'ENOENT') return
    throw error
  }
  if (ownerOf(aside) === dead) rmSync(aside, { force: true })
  else linked(aside, path)
}

/** Gives the file its second name and takes the first away; false if the second is in use. */
function linked(from, to) {
  try {
    linkSync(from, to)
    return true
  } catch (error) {
    if (error.code === 'EEXIST') return false
    throw error
  } finally {
    rmSync(from, { force: true })
  }
}

function ownerOf(path) {
  try {
    return Number(readFileSync(path, 'utf8')) || undefined
  } catch {
    return undefined
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}
