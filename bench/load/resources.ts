// What a process holds and uses, from /proc (Linux).
import { type Dirent, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

export const MIB = 1 << 20
const PAGE_BYTES = 4096
const TICKS_PER_SECOND = 100
const BLOCK_BYTES = 512

/** Resident memory in MiB. */
export function rssMib(pid: number): number {
  const [, pages = '0'] = readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')
  return (Number(pages) * PAGE_BYTES) / MIB
}

/** CPU time in seconds, user and system together, since the process began. */
function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // The name in parentheses may hold spaces: count from behind it. utime and stime are fields 14 and 15.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

function cpuSecondsOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + cpuSeconds(pid), 0)
}

/** The CPU, in us, that the processes spend on each of so many operations from now on. A busy machine changes it least. */
export function cpuMeter(pids: readonly number[]): (operations: number) => number {
  const before = cpuSecondsOf(pids)
  return (operations) => ((cpuSecondsOf(pids) - before) * 1e6) / operations
}

/** The share of one core, in percent, that the processes together use during so many seconds. */
export async function cpuPercent(pids: readonly number[], seconds: number): Promise<number> {
  const before = cpuSecondsOf(pids)
  await pause(seconds * 1000)
  return ((cpuSecondsOf(pids) - before) / seconds) * 100
}

/** What a folder takes on the disk. Files and folders in it may go meanwhile. */
export function diskBytes(folder: string): number {
  return entriesOf(folder).reduce((sum, entry) => {
    const path = join(folder, entry.name)
    const within = entry.isDirectory() ? diskBytes(path) : 0
    return sum + within + (statSync(path, { throwIfNoEntry: false })?.blocks ?? 0) * BLOCK_BYTES
  }, 0)
}

function entriesOf(folder: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}
