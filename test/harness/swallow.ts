// A TCP proxy in front of a gateway or a node that loses what passes it. It knows nothing of HTTP/2: a connection that has
// lost bytes is of no use any more, so it always breaks.
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { until } from './wait.js'

/** What is lost: what clients say, or what they are told. */
export type Way = 'requests' | 'answers'

interface Pair {
  readonly client: Socket
  readonly server: Socket
  lost: boolean
}

export class SwallowProxy {
  /** Pieces of a stream that were not passed on. */
  swallowed = 0
  /** Bytes that clients have sent, lost or not. */
  asked = 0
  readonly #target: { readonly host: string; readonly port: number }
  readonly #listener = createServer((client) => this.#accept(client))
  readonly #pairs = new Set<Pair>()
  #port = 0
  #way: Way | undefined
  #every = 0
  #answers = 0

  /** In front of host:port. Whoever starts it closes it. */
  static async start(target: string): Promise<SwallowProxy> {
    const proxy = new SwallowProxy(target)
    await proxy.#listen()
    return proxy
  }

  private constructor(target: string) {
    const [host = '', port] = target.split(':')
    this.#target = { host, port: Number(port) }
  }

  get address(): string {
    return `127.0.0.1:${this.#port}`
  }

  /** From now on every n-th piece of an answer is lost, and its connection breaks at once; 0: none. */
  swallowEvery(n: number): void {
    this.#every = n
  }

  /** Loses everything that goes this way, until `heal`. */
  swallow(way: Way): void {
    this.#way = way
  }

  /** Breaks every connection and takes no new one, until `heal`. */
  async refuse(): Promise<void> {
    const closed = once(this.#listener, 'close')
    this.#listener.close()
    for (const pair of this.#pairs) this.#break(pair)
    await closed
  }

  /** Passes everything on again, on connections that have lost nothing. */
  async heal(): Promise<void> {
    this.#way = undefined
    for (const pair of this.#pairs) if (pair.lost) this.#break(pair)
    if (!this.#listener.listening) await this.#listen()
  }

  /** Nothing the second time. */
  async close(): Promise<void> {
    if (this.#listener.listening) await this.refuse()
  }

  async #listen(): Promise<void> {
    // The port may be an outgoing connection's for a moment.
    await until('the proxy to listen', async () => {
      this.#listener.listen(this.#port, '127.0.0.1')
      await once(this.#listener, 'listening')
      return true
    })
    const address = this.#listener.address()
    if (address !== null && typeof address === 'object') this.#port = address.port
  }

  #accept(client: Socket): void {
    const server = connect({ ...this.#target, noDelay: true })
    const pair: Pair = { client: client.setNoDelay(), server, lost: false }
    this.#pairs.add(pair)
    for (const socket of [client, server]) {
      // An error comes before a close, which says all that is to know.
      socket.on('error', () => undefined)
      socket.on('close', () => this.#break(pair))
    }
    client.on('data', (bytes) => {
      this.asked += bytes.length
      this.#pass(pair, bytes, 'requests')
    })
    server.on('data', (bytes) => {
      this.#answers++
      this.#pass(pair, bytes, 'answers')
    })
  }

  #pass(pair: Pair, bytes: Buffer, way: Way): void {
    const cut = way === 'answers' && this.#every > 0 && this.#answers % this.#every === 0
    if (cut || this.#way === way) {
      this.swallowed++
      pair.lost = true
      if (cut) this.#break(pair)
      return
    }
    const [from, to] = way === 'requests' ? [pair.client, pair.server] : [pair.server, pair.client]
    if (to.destroyed || to.write(bytes)) return
    from.pause()
    to.once('drain', () => from.resume())
  }

  #break(pair: Pair): void {
    this.#pairs.delete(pair)
    pair.client.destroy()
    pair.server.destroy()
  }
}
