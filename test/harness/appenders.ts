// Clients that append tokens all the time, most of them with patience for any failure, some with none.
import { setTimeout as pause } from 'node:timers/promises'
import { Ledger } from './ledger.js'
import { outcomeOf } from './workload.js'

/** The part of RequestWrapper that appenders need. */
export interface AppendClient {
  append(key: string, value: string, options: { readonly deadlineMs: number }): Promise<number>
}

/** Longer than any failure that a test makes. */
const PATIENCE_MS = 45_000
/** Every so many appends one has a deadline of a few ms. */
const HASTY_EVERY = 16
const HASTY_MS_MAX = 40
/** Between two appends of one loop. */
const BETWEEN_MS = 2

export class Appenders {
  readonly ledger = new Ledger()
  readonly tally = { acknowledged: 0, refused: 0, unknown: 0 }
  /** Patient appends that failed, in words: a session is for them to succeed. */
  readonly failures: string[] = []
  readonly #keys: readonly string[]
  readonly #loops: Promise<void>[]
  #turns = 0
  #stopped = false

  /** So many loops for each client; every loop goes through all the keys. */
  constructor(clients: readonly AppendClient[], loops: number, keys: readonly string[]) {
    this.#keys = keys
    this.#loops = clients.flatMap((client) => Array.from({ length: loops }, () => this.#run(client)))
  }

  /** Lets every append in flight end. */
  async stop(): Promise<void> {
    this.#stopped = true
    await Promise.all(this.#loops)
  }

  /** What is wrong with the values; the store must be well again. */
  async faults(read: (key: string) => Promise<string | null>): Promise<string[]> {
    const { ledger } = this
    const found = await Promise.all(ledger.keys.map(async (key) => ledger.faultsOf(key, await read(key))))
    return found.flat()
  }

  async #run(client: AppendClient): Promise<void> {
    while (!this.#stopped) {
      const turn = this.#turns++
      const key = this.#keys[turn % this.#keys.length] ?? ''
      const hasty = turn % HASTY_EVERY === 0
      await this.#append(client, key, hasty ? 1 + ((turn / HASTY_EVERY) % HASTY_MS_MAX) : PATIENCE_MS)
      await pause(BETWEEN_MS)
    }
  }

  async #append(client: AppendClient, key: string, deadlineMs: number): Promise<void> {
    const token = this.ledger.begin(key)
    try {
      this.ledger.acknowledged(key, token, await client.append(key, token, { deadlineMs }))
      this.tally.acknowledged++
    } catch (error) {
      if (deadlineMs === PATIENCE_MS) this.failures.push(`${key}: ${token} ${String(error)}`)
      if (outcomeOf(error) === 'not-applied') {
        this.ledger.refused(key, token)
        this.tally.refused++
      } else {
        this.tally.unknown++
      }
    }
  }
}
