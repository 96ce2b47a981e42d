import { readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'

// What the operating system tells of a process that is not our child.

/** What node processes are called, whatever started them. */
const NODE_NAME = 'kvnode'

/**
 * Whether process `pid` is a node on `directory`, by its command line: a pid alone may have been given to another process
 * since, and somebody who only looks at the directory (an editor, a tail of its log) names it too. `program` may have a
 * name of its own. Without /proc (not Linux) it is only known whether some process has that pid.
 */
export function isNode(pid: number, directory: string, program: string): boolean {
  const argv = commandLine(pid)
  if (argv === undefined) return isAlive(pid)
  const name = basename(argv[0] ?? '')
  return (name === NODE_NAME || name === basename(program)) && dataOf(argv) === directory
}

/** The command lines of all nodes that run below a data directory. Empty where there is no /proc, and so no proxy either. */
export function nodesOn(data: string): (readonly string[])[] {
  if (process.platform !== 'linux') return []
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  return pids
    .map((pid) => commandLine(Number(pid)) ?? [])
    .filter((argv) => basename(argv[0] ?? '') === NODE_NAME && dataOf(argv)?.startsWith(join(data, '/')) === true)
}

/** Whether a node was started to be reached through a proxy: it is a host of its own then. */
export function isBehindProxy(argv: readonly string[]): boolean {
  return argv.includes('--dial-from')
}

/** The value of the --data flag, in any of the forms that Go's flags have. */
function dataOf(argv: readonly string[]): string | undefined {
  for (const [at, word] of argv.entries()) {
    const flag = /^--?data(?:=(.*))?$/s.exec(word)
    if (flag !== null) return flag[1] ?? argv[at + 1]
  }
  return undefined
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
