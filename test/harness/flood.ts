// Raw Batch streams that send without waiting for answers, unlike any client of ours: only flow control holds them back.
// On HTTP/2 itself, because gRPC's client takes a MiB of messages before it lets anybody feel that nobody reads them.
import { type ClientHttp2Session, type ClientHttp2Stream, connect, type IncomingHttpHeaders } from 'node:http2'

export interface FloodOptions {
  readonly address: string
  /** The next message; undefined when there is none now: `push` asks again. */
  readonly next: () => Uint8Array | undefined
  /** Every answer as it came. Left out: the stream is never read. */
  readonly answered?: (answer: Uint8Array) => void
}

const PREFIX_BYTES = 5
const WINDOW_BYTES = 4 << 20

/** One stream on a connection of its own. */
export class FloodStream {
  /** How the stream ended, if it did before `close`. */
  failure: string | undefined
  /** Messages that the transport has taken. */
  written = 0
  readonly #options: FloodOptions
  readonly #session: ClientHttp2Session
  readonly #stream: ClientHttp2Stream
  #unread: Buffer = Buffer.alloc(0)
  #writing = false
  #closed = false

  constructor(options: FloodOptions) {
    this.#options = options
    const reads = options.answered !== undefined
    this.#session = connect(`http://${options.address}`, reads ? { settings: { initialWindowSize: WINDOW_BYTES } } : {})
    this.#session.on('error', (error) => this.#fail(error.message))
    if (reads) this.#session.on('connect', () => this.#session.setLocalWindowSize(WINDOW_BYTES))
    const headers = { 'content-type': 'application/grpc', te: 'trailers' }
    this.#stream = this.#session.request({ ':method': 'POST', ':path': '/kvorum.v1.KV/Batch', ...headers })
    this.#stream.on('error', (error) => this.#fail(error.message))
    this.#stream.on('response', (head) => this.#status(head))
    this.#stream.on('trailers', (tail: IncomingHttpHeaders) => this.#status(tail))
    this.#stream.on('close', () => this.#fail('the stream was closed'))
    if (reads) this.#stream.on('data', (chunk: Buffer) => this.#read(chunk))
  }

  /** Sends on, as long as there are messages and the transport takes them. */
  push(): void {
    if (this.#writing || this.#closed || this.failure !== undefined) return
    const message = this.#options.next()
    if (message === undefined) return
    this.#writing = true
    const frame = Buffer.allocUnsafe(PREFIX_BYTES + message.length)
    frame.writeUInt8(0)
    frame.writeUInt32BE(message.length, 1)
    frame.set(message, PREFIX_BYTES)
    this.#stream.write(frame, (error?: Error | null) => {
      this.#writing = false
      if (error !== undefined && error !== null) return
      this.written++
      this.push()
    })
  }

  close(): void {
    this.#closed = true
    this.#session.destroy()
  }

  #read(chunk: Buffer): void {
    this.#unread = this.#unread.length === 0 ? chunk : Buffer.concat([this.#unread, chunk])
    while (this.#unread.length >= PREFIX_BYTES) {
      const end = PREFIX_BYTES + this.#unread.readUInt32BE(1)
      if (this.#unread.length < end) return
      const answer = this.#unread.subarray(PREFIX_BYTES, end)
      this.#unread = this.#unread.subarray(end)
      this.#options.answered?.(answer)
    }
  }

  #status(headers: IncomingHttpHeaders): void {
    const status = headers['grpc-status']
    if (status !== undefined && status !== '0') this.#fail(`status ${status}: ${headers['grpc-message'] ?? ''}`)
  }

  #fail(words: string): void {
    if (!this.#closed) this.failure ??= words
  }
}
