import { DEFAULT_LIMITS } from '../../core/limits.js'
import type { Result } from '../../core/operation.js'
import type { ClusterMap } from '../../core/topology.js'
import { type KvError, UnsupportedError } from '../../errors/index.js'
import type { Store } from '../../store/index.js'
import type { BatchMessage, BatchStream } from '../../wire/batch-stream.js'
import { type Listener, listen } from '../../wire/listener.js'
import { kvService } from '../../wire/services.js'

/** What a gateway is to its clients, without its limits: it gives maps as it is told, and hands operations to a Store. */
export class FakeGateway {
  /** How often somebody asked for the map. */
  asked = 0
  #listener: Listener | undefined
  #address = ''
  readonly #told = new Set<() => void>()

  /** Without a map it takes the call and says nothing; without a Store it serves maps only. */
  constructor(
    private map: ClusterMap | undefined,
    private readonly store?: Store,
  ) {}

  /** host:port, also of one that is closed. */
  get address(): string {
    return this.#address
  }

  get port(): number {
    return Number(this.#address.split(':')[1])
  }

  async open(port = 0): Promise<this> {
    const unserved = () => Promise.reject(new UnsupportedError('not served here', { outcome: 'not-applied' }))
    const service = kvService({
      get: unserved,
      put: unserved,
      delete: unserved,
      transaction: unserved,
      batch: (stream) => this.#serve(stream),
      clusterMap: (signal) => this.#maps(signal),
    })
    this.#listener = await listen({ host: '127.0.0.1', port }, [service])
    this.#address = this.#listener.address
    return this
  }

  publish(map: ClusterMap): void {
    this.map = map
    for (const tell of [...this.#told]) tell()
  }

  /** Cuts all connections at once, as a kill does, and frees the port. */
  async close(): Promise<void> {
    const listener = this.#listener
    this.#listener = undefined
    await listener?.close()
  }

  async *#maps(signal: AbortSignal): AsyncGenerator<ClusterMap> {
    this.asked++
    let wake = () => {}
    const tell = () => wake()
    this.#told.add(tell)
    signal.addEventListener('abort', tell, { once: true })
    let given: ClusterMap | undefined
    while (!signal.aborted) {
      if (this.map !== undefined && this.map !== given) {
        given = this.map
        yield given
        continue
      }
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
    this.#told.delete(tell)
  }

  #serve(stream: BatchStream): void {
    const onMessage = (message: BatchMessage) => {
      const results: (Result | KvError)[] = []
      let left = message.operations.length
      for (const [at, operation] of message.operations.entries()) {
        if (operation === undefined || this.store === undefined) throw new TypeError('an operation that is not served')
        const deadlineMs = message.timeoutMs || DEFAULT_LIMITS.deadlineMs
        const done = (error: KvError | undefined, result: Result | undefined) => {
          results[at] = (error ?? result) as KvError | Result
          if (--left === 0) stream.send(message.id, results, () => {})
        }
        this.store.submit(operation, deadlineMs, done, message.stamps[at])
      }
    }
    stream.listen({ onMessage, onEnd: () => stream.end(), onGone: () => {} })
  }
}
