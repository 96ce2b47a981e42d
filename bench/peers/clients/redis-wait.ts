// Puts with WAIT 1 on one connection to one master. WAIT answers for everything that its connection wrote before, and
// holds up what comes behind it. So all puts that gather while one WAIT is out share the next: one WAIT for each put
// would let only one put at a time through, which no user of it would do.
import type { Redis } from 'ioredis'

const REPLICAS = 1
const WAIT_MS_MAX = 5000

interface Waiting {
  readonly key: string
  readonly value: Buffer
  readonly resolve: () => void
  readonly reject: (reason: Error) => void
}

export class WaitingPuts {
  readonly #connection: Redis
  #waiting: Waiting[] = []
  #busy = false

  constructor(connection: Redis) {
    this.#connection = connection
  }

  put(key: string, value: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ key, value, resolve, reject })
      if (this.#busy) return
      this.#busy = true
      // At the end of this turn, so that its other puts come along.
      setImmediate(() => void this.#work())
    })
  }

  /** Never rejects: what goes wrong is told to those who wait. */
  async #work(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting
      this.#waiting = []
      try {
        await this.#send(batch)
        for (const one of batch) one.resolve()
      } catch (error) {
        for (const one of batch) one.reject(error as Error)
      }
    }
    this.#busy = false
  }

  async #send(batch: readonly Waiting[]): Promise<void> {
    const pipeline = this.#connection.pipeline()
    for (const { key, value } of batch) pipeline.set(key, value)
    const answers = (await pipeline.wait(REPLICAS, WAIT_MS_MAX).exec()) ?? []
    for (const [error] of answers) if (error) throw error
    const reached = Number(answers.at(-1)?.[1] ?? 0)
    if (reached < REPLICAS) throw new Error(`WAIT ${REPLICAS} was answered with ${reached}`)
  }
}
