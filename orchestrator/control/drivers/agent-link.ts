import { type Clock, sleep } from '../../core/clock.js'
import type { AgentClient, DescribeResponse } from '../../wire/agent.js'

export interface LinkDeps {
  readonly open: (address: string) => AgentClient
  readonly clock: Clock
  /** Why an agent that says this of itself is not one to work with, or undefined. */
  readonly objection: (about: DescribeResponse) => string | undefined
  /** It answers, or does not any more. */
  readonly changed: (link: AgentLink) => void
}

/** How often an agent is asked whether it is there, and how long it may take to answer. */
const BEAT_MS = 1_000
const BEAT_DEADLINE_MS = 2_000
const PAUSE_MS_MIN = 50
const PAUSE_MS_MAX = 1_000

const NOT_ASKED = 'it has not been asked yet'

/**
 * The connection with one agent, made again whenever it breaks. A machine that vanished without closing anything looks like
 * one that is busy, so it is asked all the time: after silence everything that was under way is given up, and begins anew on
 * another connection.
 */
export class AgentLink {
  #client: AgentClient | undefined
  #about: DescribeResponse | undefined
  #trouble: string | undefined = NOT_ASKED
  /** By the monotonic clock: since when it is in trouble. */
  #since: number
  #wake = new AbortController()
  readonly #closed = new AbortController()
  readonly #running: Promise<void>

  constructor(
    readonly address: string,
    private readonly deps: LinkDeps,
  ) {
    this.#since = deps.clock.monotonic()
    this.#running = this.#run()
  }

  /** While it answers. Its owner is here: nobody else closes it. */
  get client(): AgentClient | undefined {
    return this.#client
  }

  /** What it said of itself last, also if it does not answer now. */
  get about(): DescribeResponse | undefined {
    return this.#about
  }

  /** Why it cannot be worked with, for people; undefined while it can. */
  get trouble(): string | undefined {
    return this.#trouble
  }

  /** For how long it has not been one to work with. 0 while it is. */
  get silentMs(): number {
    return this.#trouble === undefined ? 0 : this.deps.clock.monotonic() - this.#since
  }

  /** Asks it now: somebody has a reason to doubt that it is there. */
  check(): void {
    this.#wake.abort()
  }

  close(): Promise<void> {
    this.#closed.abort()
    this.#wake.abort()
    return this.#running
  }

  async #run(): Promise<void> {
    let pauseMs = PAUSE_MS_MIN
    while (!this.#closed.signal.aborted) {
      const client = this.deps.open(this.address)
      const giveUp = () => client.close()
      this.#closed.signal.addEventListener('abort', giveUp, { once: true })
      try {
        for (;;) {
          this.#answers(client, await client.describe(BEAT_DEADLINE_MS))
          pauseMs = PAUSE_MS_MIN
          await this.#pause(BEAT_MS)
        }
      } catch (error) {
        this.#silent(error instanceof Error ? error.message : String(error))
      } finally {
        this.#closed.signal.removeEventListener('abort', giveUp)
        client.close()
      }
      await this.#pause(pauseMs)
      pauseMs = Math.min(PAUSE_MS_MAX, pauseMs * 2)
    }
  }

  #answers(client: AgentClient, about: DescribeResponse): void {
    const objection = this.deps.objection(about)
    if (objection !== undefined) throw new Error(objection)
    this.#about = about
    if (this.#client === client) return
    this.#client = client
    this.#trouble = undefined
    this.deps.changed(this)
  }

  #silent(why: string): void {
    if (this.#client !== undefined) this.#since = this.deps.clock.monotonic()
    const isNews = this.#client !== undefined || this.#trouble === NOT_ASKED
    this.#client = undefined
    this.#trouble = why
    if (isNews && !this.#closed.signal.aborted) this.deps.changed(this)
  }

  /** Cut short by a check. */
  async #pause(ms: number): Promise<void> {
    this.#wake = new AbortController()
    if (this.#closed.signal.aborted) return
    await sleep(this.deps.clock, ms, this.#wake.signal).catch(() => {})
  }
}
