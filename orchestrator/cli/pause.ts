import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock } from '../core/clock.js'

/** A node that is to be paused. */
export interface Pause {
  readonly pid: number
  /** Its data directory. */
  readonly directory: string
  readonly forMs: number
}

/** What the guard ends with when another pause of the same node lasts longer. */
const STILL_PAUSED = 10

/**
 * A process of its own, which outlives the command that was killed: it waits, gives up its claim and wakes the node, unless
 * another pause has a claim on it whose time is not over. USR1 ends the wait. `sleep` inherits what is ignored, so only KILL
 * ends it. Arguments: seconds, the claim, the node's pid.
 */
const GUARD = `
trap '' INT TERM HUP
sleep "$1" &
trap 'kill -KILL $!' USR1
echo ready
wait $!
rm -f "$2"
for claim in "\${2%/*}"/*; do
  end=\${claim##*/}
  [ -e "$claim" ] && [ "\${end%%.*}" -ge "$(date +%s)" ] && exit ${STILL_PAUSED}
done
kill -CONT "$3"
rmdir "\${2%/*}"
exit 0
`

/**
 * Pauses a node until its time is over or somebody wants us to end. Whether it runs again then: of two pauses the one that
 * ends later counts.
 */
export async function pauseProcess({ pid, directory, forMs }: Pause, begun: () => void): Promise<boolean> {
  const seconds = Math.ceil(forMs / 1_000)
  // Rounded so that nobody takes it for over while its guard still waits.
  const end = Math.floor(systemClock.now() / 1_000) + seconds + 1
  mkdirSync(claimsOf(directory), { recursive: true })
  const claim = join(claimsOf(directory), `${end}.${process.pid}`)
  writeFileSync(claim, '')
  const args = ['-c', GUARD, 'kvorum-pause', `${seconds}`, claim, `${pid}`]
  const guard = spawn('sh', args, { detached: true, stdio: ['ignore', 'pipe', 'ignore'] })
  const ended = once(guard, 'exit')
  // Before the pause: there is no moment in which nobody would end it.
  await Promise.race([once(guard.stdout, 'data'), ended])
  const stop = () => guard.kill('SIGUSR1')
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(name, stop)
  try {
    if (guard.exitCode === null && guard.signalCode === null) signalIfThere(pid, 'SIGSTOP')
    begun()
    const [code] = (await ended) as [number | null]
    if (code === null) wakeProcess(pid, directory)
    return code !== STILL_PAUSED
  } finally {
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.off(name, stop)
  }
}

/** Ends every pause of a node. Gives whether there was one. */
export function wakeProcess(pid: number, directory: string): boolean {
  const wasPaused = existsSync(claimsOf(directory)) || isStopped(pid)
  rmSync(claimsOf(directory), { recursive: true, force: true })
  signalIfThere(pid, 'SIGCONT')
  return wasPaused
}

/** By whomever. False where the system does not tell. */
function isStopped(pid: number): boolean {
  try {
    // Behind the name, which may hold anything.
    return /\) [Tt] [^)]*$/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}

function claimsOf(directory: string): string {
  return `${directory}.pauses`
}

/** A process that ended meanwhile was healed in its way. */
export function signalIfThere(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
