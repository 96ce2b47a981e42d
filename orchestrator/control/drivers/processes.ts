import { readFileSync } from 'node:fs'

// What the operating system tells of a process that is not our child.

/**
 * Whether process `pid` is a node on `directory`, which its command line names: a pid alone may have been given to
 * another process since. Without /proc (not Linux) it is only known whether some process has that pid.
 */
export function isNode(pid: number, directory: string): boolean {
  const argv = commandLine(pid)
  return argv === undefined ? isAlive(pid) : argv.includes(directory)
}

/** Empty for a zombie, and for no process at all; undefined where there is no /proc. */
function commandLine(pid: number): readonly string[] | undefined {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    // It ended between two looks.
    if (code === 'ESRCH') return []
    return process.platform === 'linux' ? [] : undefined
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** Sends a signal; nothing when the process is gone. */
export function sendSignal(pid: number, signal: 'SIGTERM' | 'SIGKILL'): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
