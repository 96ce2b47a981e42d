// One child process: its lines as they come, its end, and a way to be sure that it is gone.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { ROOT } from './root.js'
import { within } from './wait.js'

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

interface Waiter {
  readonly pattern: RegExp
  readonly resolve: (found: RegExpExecArray) => void
}

export class Program {
  /** Never rejects: a program that could not be started has ended with code null. */
  readonly ended: Promise<Ended>
  readonly #child: ChildProcess
  readonly #stdout: string[] = []
  readonly #stderr: string[] = []
  readonly #waiters = new Set<Waiter>()
  #running = true

  /**
   * Runs in the project's folder, as npm would run it. With `input` it has a standard input, which ends with us; `detached`, a
   * Ctrl-C in our terminal is not meant for it.
   */
  constructor(argv: readonly string[], { input = false, detached = false } = {}) {
    const [command = '', ...rest] = argv
    this.#child = spawn(command, rest, { cwd: ROOT, detached, stdio: [input ? 'pipe' : 'ignore', 'pipe', 'pipe'] })
    // Of a program that has ended: `ended` tells of it.
    this.#child.stdin?.on('error', () => undefined)
    eachLine(this.#child.stdout, (line) => this.#took(line))
    eachLine(this.#child.stderr, (line) => this.#stderr.push(line))
    this.ended = new Promise((resolve) => {
      const end = (code: number | null, signal: NodeJS.Signals | null): void => {
        this.#running = false
        resolve({ code, signal })
      }
      this.#child.once('close', end)
      this.#child.once('error', (error) => {
        this.#stderr.push(error.message)
        end(null, null)
      })
    })
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error(`the program did not start: ${this.stderr}`)
    return this.#child.pid
  }

  get running(): boolean {
    return this.#running
  }

  get stdout(): string {
    return this.#stdout.join('\n')
  }

  get stderr(): string {
    return this.#stderr.join('\n')
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  say(text: string): void {
    this.#child.stdin?.write(text)
  }

  endInput(): void {
    this.#child.stdin?.end()
  }

  /** The first line of stdout that matches; fails with the whole output if the program ends without it. */
  async line(pattern: RegExp, timeoutMs: number): Promise<RegExpExecArray> {
    for (const line of this.#stdout) {
      const found = pattern.exec(line)
      if (found !== null) return found
    }
    const arrived = new Promise<RegExpExecArray>((resolve) => this.#waiters.add({ pattern, resolve }))
    const gone = this.ended.then(({ code }) => {
      throw new Error(`it ended with code ${code} before a line like ${pattern}:\n${this.stdout}\n${this.stderr}`)
    })
    return within(`a line like ${pattern}`, timeoutMs, Promise.race([arrived, gone]))
  }

  #took(line: string): void {
    this.#stdout.push(line)
    for (const waiter of this.#waiters) {
      const found = waiter.pattern.exec(line)
      if (found === null) continue
      this.#waiters.delete(waiter)
      waiter.resolve(found)
    }
  }
}

function eachLine(stream: NodeJS.ReadableStream | null, take: (line: string) => void): void {
  let pending = ''
  stream?.setEncoding('utf8')
  stream?.on('data', (chunk: string) => {
    const parts = (pending + chunk).split('\n')
    pending = parts.pop() ?? ''
    for (const line of parts) take(line)
  })
  stream?.on('end', () => {
    if (pending !== '') take(pending)
  })
}

export interface Running {
  readonly pid: number
  readonly command: string
}

/** Processes whose command line names `folder`: a node carries its data directory there, so that people find it. */
export function processesOf(folder: string): Running[] {
  const all = existsSync('/proc/self/cmdline') ? fromProc() : fromPs()
  return all.filter((one) => one.command.includes(folder) && one.pid !== process.pid)
}

function fromProc(): Running[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => ({ pid: Number(name), command: commandLine(name) }))
}

/** Empty for a process that is gone, or is a zombie: gone but for its parent's attention. */
function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim()
  } catch {
    return ''
  }
}

function fromPs(): Running[] {
  const { stdout } = spawnSync('ps', ['-axo', 'pid=,command='], { encoding: 'utf8' })
  return stdout.split('\n').map((line) => {
    const [, pid = '0', command = ''] = /^\s*(\d+)\s(.*)$/.exec(line) ?? []
    return { pid: Number(pid), command }
  })
}

/** Sends a signal; a process that is gone already is no error. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
