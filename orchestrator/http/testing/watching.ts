import { CancelledError } from '../../errors/index.js'
import type { GatewayMessage } from '../../wire/watch.js'
import type { WatchSource } from '../watches.js'

type Asked = Parameters<WatchSource>[0]

/** Watches that tell what the test says, until their signals are aborted. */
export class FakeWatches {
  readonly asked: Asked[] = []
  /** Those that have begun and not ended. */
  open = 0
  /** How many messages were taken. */
  given = 0
  readonly #messages: GatewayMessage[] = []
  #failure: Error | undefined
  readonly #waiting = new Set<() => void>()

  readonly source: WatchSource = (request) => this.#run(request)

  tell(...messages: GatewayMessage[]): void {
    this.#messages.push(...messages)
    this.#wake()
  }

  fail(error: Error): void {
    this.#failure = error
    this.#wake()
  }

  #wake(): void {
    for (const wake of this.#waiting) wake()
    this.#waiting.clear()
  }

  async *#run(request: Asked): AsyncGenerator<GatewayMessage> {
    this.asked.push(request)
    this.open++
    const wake = () => this.#wake()
    request.signal.addEventListener('abort', wake)
    try {
      for (;;) {
        if (request.signal.aborted) throw new CancelledError('ended', { outcome: 'not-applied' })
        const next = this.#messages.shift()
        if (next !== undefined) {
          this.given++
          yield next
        } else if (this.#failure === undefined) {
          await new Promise<void>((resolve) => this.#waiting.add(resolve))
        } else {
          throw this.#failure
        }
      }
    } finally {
      request.signal.removeEventListener('abort', wake)
      this.open--
    }
  }
}

export const MARK: GatewayMessage = { events: [], token: Buffer.from([1]) }

/** A message of puts; each token is the number of the put. */
export function puts(...pairs: readonly (readonly [key: string, value: string | Uint8Array])[]): GatewayMessage {
  const events = pairs.map(([key, value], at) => ({
    change: { type: 'put' as const, key: Buffer.from(key), value: Buffer.from(value), version: BigInt(at + 1) },
    token: Buffer.from([at + 1]),
  }))
  return { events, token: Buffer.from([pairs.length]) }
}
