// A node program that is the real one with more flags, and that can be kept from starting: `--kvnode` takes it.
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from './root.js'

/** A line of shell that waits as long as the node is held back. The driver's first arguments are `--data <directory>`. */
export const HELD_BACK = `while [ -e "${holdFile('$2')}" ]; do sleep 0.02; done`

/**
 * Writes it into `folder` and gives its path. Of a flag that is given twice the later one counts.
 */
export function nodeProgram(folder: string, flags: readonly string[]): string {
  const path = join(folder, 'kvnode-for-test')
  const lines = ['#!/bin/sh', HELD_BACK, `exec "${join(ROOT, 'dist/bin/kvnode')}" "$@" ${flags.join(' ')}`]
  writeFileSync(path, `${lines.join('\n')}\n`, { mode: 0o755 })
  return path
}

/** From now on the node of this directory does not begin, though its process starts. One that runs goes on. */
export function holdBack(directory: string): void {
  writeFileSync(holdFile(directory), '')
}

export function letGo(directory: string): void {
  rmSync(holdFile(directory), { force: true })
}

function holdFile(directory: string): string {
  return `${directory}.hold`
}
