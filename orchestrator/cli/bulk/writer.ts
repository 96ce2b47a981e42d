import { readFileSync } from 'node:fs'

/** A process that writes, as a state file names it. */
export interface Writer {
  readonly pid: number
  /** When it was started, as its system says it; undefined where it does not: then a number that was given again counts as the same. */
  readonly started?: string | undefined
}

/** This process. */
export function thisWriter(): Writer {
  return { pid: process.pid, started: startOf(process.pid) }
}

/** Whether it is another process than this, and still there. */
export function isElsewhere({ pid, started }: Writer): boolean {
  if (pid === process.pid || !isThere(pid)) return false
  const now = startOf(pid)
  return started === undefined || now === undefined || now === started
}

function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // EPERM: it is another user's.
    return (error as NodeJS.ErrnoException).code !== 'ESRCH'
  }
}

/** The 22nd field of its stat, in ticks since the machine was started: Linux has it. The second is a name, which may hold anything. */
function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const behindTheName = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return behindTheName[22 - 3]
  } catch {
    return undefined
  }
}
