import { type Clock, sleep } from '../../core/clock.js'
import { type AgentClient, type Authority, type Process, Signal } from '../../wire/agent.js'
import type { Exit, NodeProcess } from './driver.js'

/** The agent of the machine that a process runs on. */
export interface Reach {
  /** Waits until the agent answers; rejects when `signal` is aborted. */
  client(signal: AbortSignal): Promise<AgentClient>
  /** Why the agent does not answer; undefined while it does. */
  trouble(): string | undefined
  /** Asks the agent now whether it is there. */
  check(): void
  readonly authority: () => Authority
  readonly clock: Clock
}

/** How long an agent that was told to kill may be out of reach until one goes on without knowing. */
const KILL_PATIENCE_MS = 3_000
const RETRY_MS = 200

/**
 * A process on another machine. As long as its agent is out of reach nothing is known of it and nothing is decided; when the
 * agent is back it says whether the process runs on, and how it ended.
 */
export class RemoteProcess implements NodeProcess {
  readonly exited: Promise<Exit>
  /** Aborted when there is nothing left to do: it is gone, or nobody cares any more. */
  readonly #over = new AbortController()
  readonly #signal: AbortSignal
  #end: (exit: Exit) => void = () => {}
  /** The strongest signal that it is to get, until it was delivered. */
  #wanted: 'SIGTERM' | 'SIGKILL' | undefined
  #delivering = false
  #killing = false

  constructor(
    private readonly process: Process,
    readonly adopted: boolean,
    /** Whether its agent has said that it runs. */
    private isSeen: boolean,
    private readonly reach: Reach,
    /** Aborted when the driver is closed. */
    closed: AbortSignal,
  ) {
    this.exited = new Promise((resolve) => {
      this.#end = resolve
    })
    this.#signal = AbortSignal.any([this.#over.signal, closed])
    void this.#watch()
  }

  get pid(): number {
    return this.process.pid
  }

  doubt(): string | undefined {
    return this.reach.trouble() ?? (this.isSeen ? undefined : 'its machine is being asked')
  }

  check(): void {
    this.reach.check()
  }

  signal(signal: 'SIGTERM' | 'SIGKILL'): void {
    if (this.#over.signal.aborted) return
    if (this.#wanted !== 'SIGKILL') this.#wanted = signal
    if (!this.#delivering) void this.#deliver()
    if (signal === 'SIGKILL' && !this.#killing) {
      this.#killing = true
      this.#loseHope()
    }
  }

  forget(): void {
    this.#over.abort()
  }

  #finish(exit: Exit): void {
    this.#over.abort()
    this.#end(exit)
  }

  async #watch(): Promise<void> {
    while (!this.#signal.aborted) {
      try {
        const client = await this.reach.client(this.#signal)
        const request = { authority: this.reach.authority(), process: this.process }
        for await (const exit of client.watch(request, this.#signal)) {
          this.isSeen = true
          if (exit === undefined) continue
          const { code, signal, lastWords } = exit
          this.#finish({ code, signal: signal || undefined, lastWords: lastWords || undefined })
          return
        }
      } catch {
        // The connection broke, or the agent obeys somebody else now: asked again, nothing is known until then.
      }
      await sleep(this.reach.clock, RETRY_MS, this.#signal).catch(() => {})
    }
  }

  async #deliver(): Promise<void> {
    this.#delivering = true
    while (this.#wanted !== undefined && !this.#signal.aborted) {
      const wanted = this.#wanted
      try {
        const client = await this.reach.client(this.#signal)
        const signal = wanted === 'SIGKILL' ? Signal.KILL : Signal.TERMINATE
        await client.signal({ authority: this.reach.authority(), process: this.process, signal })
        if (this.#wanted === wanted) this.#wanted = undefined
      } catch {
        await sleep(this.reach.clock, RETRY_MS, this.#signal).catch(() => {})
      }
    }
    this.#delivering = false
  }

  /** Whoever wants it dead must not wait for ever for a machine that is gone. */
  #loseHope(): void {
    const since = this.reach.trouble()
    const timer = this.reach.clock.setTimeout(() => {
      this.#signal.removeEventListener('abort', cancel)
      const trouble = this.reach.trouble()
      if (since !== undefined && trouble !== undefined) this.#finish({ left: trouble })
      else this.#loseHope()
    }, KILL_PATIENCE_MS)
    const cancel = () => timer.cancel()
    this.#signal.addEventListener('abort', cancel, { once: true })
    if (this.#signal.aborted) cancel()
  }
}
