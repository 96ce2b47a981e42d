// The processes of one peer and the folder of their data. After dispose(), and when this process ends in another way,
// neither is there any more.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { Program } from '../../../test/harness/process.js'
import { within } from '../../../test/harness/wait.js'

const READY_MS_MAX = 60_000
const STOP_MS_MAX = 20_000
const POLL_MS = 50
const LOG_LINES = 12

export class Servers {
  readonly name: string
  readonly #folder: string
  readonly #programs: Program[] = []

  constructor(name: string) {
    this.name = name
    this.#folder = mkdtempSync(join(tmpdir(), 'kvorum-peers-'))
    open.add(this)
  }

  get pids(): number[] {
    return this.#programs.map(({ pid }) => pid)
  }

  /** An empty folder for one server. */
  folder(name: string): string {
    const path = join(this.#folder, name)
    mkdirSync(path)
    return path
  }

  spawn(argv: readonly string[]): void {
    this.#programs.push(new Program(argv))
  }

  /** Asks until `probe` answers something. Fails at once when a server has ended. Says what the servers logged. */
  async until<T>(what: string, probe: () => Promise<T | undefined>): Promise<T> {
    const deadline = performance.now() + READY_MS_MAX
    let last: unknown
    for (;;) {
      try {
        const found = await probe()
        if (found !== undefined) return found
      } catch (error) {
        last = error
      }
      const ended = this.#programs.some((program) => !program.running)
      if (ended || performance.now() > deadline) {
        const why = ended ? 'a server has ended' : `not within ${READY_MS_MAX} ms`
        throw new Error(`waited for ${what}: ${why}\n${this.#lastWords()}`, { cause: last })
      }
      await pause(POLL_MS)
    }
  }

  async dispose(): Promise<void> {
    this.kill()
    await within(`the servers of ${this.name} to be gone`, STOP_MS_MAX, Promise.all(this.#programs.map((p) => p.ended)))
    this.remove()
  }

  kill(): void {
    for (const program of this.#programs) if (program.running) program.signal('SIGKILL')
  }

  remove(): void {
    open.delete(this)
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 5 })
  }

  #lastWords(): string {
    const lines = this.#programs.flatMap(({ stdout, stderr }, index) =>
      `${stdout}\n${stderr}`
        .split('\n')
        .filter((line) => line !== '')
        .slice(-LOG_LINES)
        .map((line) => `  ${this.name} ${index + 1}: ${line}`),
    )
    return lines.join('\n')
  }
}

/** The last net, as in test/harness/cluster.ts. */
const open = new Set<Servers>()
process.once('exit', () => {
  for (const servers of open) servers.kill()
  for (const servers of open) servers.remove()
})

/** Runs `work` on new servers and leaves none of them behind when it fails. */
export async function withServers<T>(name: string, work: (servers: Servers) => Promise<T>): Promise<T> {
  const servers = new Servers(name)
  try {
    return await work(servers)
  } catch (error) {
    await servers.dispose()
    throw error
  }
}
