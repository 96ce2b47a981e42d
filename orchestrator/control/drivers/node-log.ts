import { closeSync, fstatSync, openSync, readSync, renameSync, statSync } from 'node:fs'
import { join } from 'node:path'

// A node's stdout and stderr go to a file in its directory, so that it does not depend on us to be read.

const NAME = 'node.log'
/** A log longer than this is set aside (one old one is kept) when the node is started. */
const LOG_BYTES_MAX = 8 << 20
const TAIL_BYTES = 64 << 10
const LAST_WORDS_MAX = 300

/** Opens it for appending. The caller closes it. */
export function openNodeLog(directory: string): number {
  const path = join(directory, NAME)
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0
  if (size > LOG_BYTES_MAX) renameSync(path, `${path}.1`)
  return openSync(path, 'a')
}

const WORDS = /^(?:kvnode|panic|fatal error): /

/**
 * Why the node ended, if it said so: its last line then begins with its name. Or what Go says of a crash. `since` is where
 * the log ended when the node was started, if that is known: from there on, words are its own, even if a node that runs
 * in the same directory has logged something after them.
 */
export function lastWords(directory: string, since?: number): string | undefined {
  let tail: string
  try {
    tail = readTail(join(directory, NAME), since ?? 0)
  } catch {
    // No log, no last words: the exit code is told all the same.
    return undefined
  }
  const lines = tail.trimEnd().split('\n')
  const own = since === undefined ? undefined : lines.findLast((line) => WORDS.test(line))
  const last = own ?? lines.at(-1) ?? ''
  // Its log is JSON: it was ended from outside, in the middle of its work.
  if (last === '' || last.startsWith('{') || last.startsWith('kvnode ready ')) return undefined
  const words = lines.findLast((line) => WORDS.test(line)) ?? last
  return words.replace(/^kvnode: /, '').slice(0, LAST_WORDS_MAX)
}

function readTail(path: string, since: number): string {
  const file = openSync(path, 'r')
  try {
    const buffer = Buffer.alloc(TAIL_BYTES)
    const { size } = fstatSync(file)
    // A log that is shorter than it was has been set aside meanwhile.
    const from = Math.max(0, size - TAIL_BYTES, since <= size ? since : 0)
    return buffer.toString('utf8', 0, readSync(file, buffer, 0, TAIL_BYTES, from))
  } finally {
    closeSync(file)
  }
}
