// The driver as its parent sees it.
import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { ask } from '../load/ask.js'
import type { FillJob, Job, LoadDone, LoadJob } from './protocol.js'

const DRIVER = fileURLToPath(new URL('driver.js', import.meta.url))

/** Whoever has one closes it. */
export class Driving {
  readonly #child: ChildProcess = fork(DRIVER, { serialization: 'advanced' })
  readonly #stop: AbortSignal
  readonly #end = (): void => void this.#child.kill('SIGKILL')

  /** A client of this cluster. Aborting `stop` makes the job in hand, and every later one, fail. */
  static async start(address: string, stop: AbortSignal): Promise<Driving> {
    const driving = new Driving(stop)
    try {
      await driving.#ask({ kind: 'connect', address })
      return driving
    } catch (error) {
      driving.close()
      throw error
    }
  }

  private constructor(stop: AbortSignal) {
    this.#stop = stop
    stop.addEventListener('abort', this.#end)
  }

  async fill(job: Omit<FillJob, 'kind'>): Promise<void> {
    await this.#ask({ kind: 'fill', ...job })
  }

  async load(job: Omit<LoadJob, 'kind'>): Promise<LoadDone> {
    return (await this.#ask({ kind: 'load', ...job })) as LoadDone
  }

  close(): void {
    this.#stop.removeEventListener('abort', this.#end)
    this.#end()
  }

  async #ask(job: Job): Promise<unknown> {
    this.#stop.throwIfAborted()
    return ask(this.#child, job)
  }
}
