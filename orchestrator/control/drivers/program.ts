import { createHash } from 'node:crypto'
import { accessSync, constants, createReadStream } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { execa } from 'execa'
import { type Clock, systemClock } from '../../core/clock.js'
import { StartFault } from '../faults.js'
import type { ProgramInfo } from './driver.js'

// The node program as a file: whether it can be run, what it says of itself, which bytes it has.

/** How long a program may take to say its version: less than `kvorum` waits, which would not hear then what is wrong with it. */
const VERSION_MS_MAX = 3_000
/** What kvnode --version prints; a version that knew one format only did not tell of formats. Anything else is another program. */
const VERSION = /^(\d+\.\d+\.\d+[\w.+-]{0,32})(?:\ncommand formats 1-(\d{1,9}))?$/
const BUILD_LENGTH = 12

/** Throws a StartFault unless it can be run. */
export function checkProgram(path: string, advice: string): void {
  try {
    accessSync(path, constants.X_OK)
  } catch (error) {
    throw new StartFault(`the node program ${path} cannot be run: ${advice}`, { cause: error })
  }
}

/** How files begin that the system runs by itself: ELF, Mach-O of either kind, a script that names who reads it. */
const BEGINNINGS = ['7f454c46', 'cffaedfe', 'cafebabe', '2321']

/** What is none of them would be read by a shell, line by line. */
async function expectRunnable(path: string, called: string): Promise<void> {
  const file = await open(path)
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(4), 0, 4)
    const begins = buffer.subarray(0, bytesRead).toString('hex')
    if (BEGINNINGS.some((one) => begins.startsWith(one))) return
    throw new StartFault(`${called} is no node program: it is none that this system can run`)
  } finally {
    await file.close()
  }
}

/** `called`: what a person knows it by, when this is a copy. */
export async function inspectProgram(
  path: string,
  called = path,
  clock: Clock = systemClock,
  patienceMs = VERSION_MS_MAX,
): Promise<ProgramInfo> {
  await expectRunnable(path, called)
  const asked = execa(path, ['--version'], { reject: false, stdin: 'ignore', maxBuffer: 4_096, detached: true })
  const isLate = new AbortController()
  const timer = clock.setTimeout(() => {
    isLate.abort()
    killGroup(asked.pid)
  }, patienceMs)
  // It may leave something running that holds its output open, or goes on without it.
  const result = await asked
  timer.cancel()
  killGroup(asked.pid)
  const failed = (how: string) => new StartFault(`${called} is no node program: asked for its --version it ${how}`)
  if (isLate.signal.aborted) throw failed(`did not end within ${patienceMs / 1_000} s`)
  if (result.failed) throw failed(howItFailed(result))
  const [, version, formatMax = '1'] = VERSION.exec(result.stdout.trim()) ?? []
  if (version === undefined) throw failed('does not say one')
  return { version, formatMax: Number(formatMax) }
}

/** execa's own message names the copy. */
function howItFailed({ isMaxBuffer, exitCode, signal, code, stderr }: HowItEnded): string {
  const words = typeof stderr === 'string' && stderr !== '' ? `: ${stderr.split('\n')[0]}` : ''
  if (isMaxBuffer) return 'says far too much'
  if (signal !== undefined) return `was killed by ${signal}${words}`
  if (exitCode !== undefined) return `ended with exit code ${exitCode}${words}`
  return `could not be started (${code ?? 'for an unknown reason'})`
}

interface HowItEnded {
  readonly isMaxBuffer: boolean
  readonly exitCode?: number
  readonly signal?: string
  readonly code?: string
  readonly stderr: unknown
}

/** With its children, which are in its group. Nobody may be left. */
function killGroup(pid: number | undefined): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // Nobody is.
  }
}

export function wrappedFault(path: string): StartFault {
  return new StartFault(
    `nodes are started by ${path}, which puts a proxy before them: no other program can take its place`,
  )
}

/** Which bytes programs have. Read again only when a file has changed. */
export class Builds {
  readonly #known = new Map<string, { readonly file: string; readonly build: string }>()

  /** '' when it cannot be read: whoever starts it will say why. */
  async of(path: string): Promise<string> {
    try {
      const { ino, size, mtimeMs } = await stat(path)
      const file = `${ino} ${size} ${mtimeMs}`
      const known = this.#known.get(path)
      if (known?.file === file) return known.build
      const hash = createHash('sha256')
      await pipeline(createReadStream(path), hash)
      const build = hash.digest('hex').slice(0, BUILD_LENGTH)
      this.#known.set(path, { file, build })
      return build
    } catch {
      return ''
    }
  }
}
