// What a process holds and uses, from /proc (Linux).
import { readFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'

const MIB = 1 << 20
const PAGE_BYTES = 4096
const TICKS_PER_SECOND = 100

/** Resident memory in MiB. */
export function rssMib(pid: number): number {
  const [, pages = '0'] = readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')
  return (Number(pages) * PAGE_BYTES) / MIB
}

/** CPU time in seconds, user and system together, since the process began. */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // The name in parentheses may hold spaces: count from behind it. utime and stime are fields 14 and 15.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

/** The share of one core, in percent, that the processes together use during so many seconds. */
export async function cpuPercent(pids: readonly number[], seconds: number): Promise<number> {
  const total = (): number => pids.reduce((sum, pid) => sum + cpuSeconds(pid), 0)
  const before = total()
  await pause(seconds * 1000)
  return ((total() - before) / seconds) * 100
}
