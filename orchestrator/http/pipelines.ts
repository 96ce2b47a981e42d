import type { IncomingMessage, ServerResponse } from 'node:http'

type Connection = IncomingMessage['socket']

/** So many requests may wait on one connection until it is not read any more. */
const WAITING_MAX = 16

interface Task {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  /** Resolves with whether the connection ends with this answer. */
  readonly serve: () => Promise<boolean>
}

interface Line {
  readonly waiting: Task[]
  current: Task | undefined
  paused: boolean
}

/**
 * A client may send a request before it has the answer to the one before (pipelining). Node.js would have them all carried out at
 * once: a GET would overtake the PUT before it. Here each begins when the one before has been answered.
 */
export class Pipelines {
  readonly #lines = new WeakMap<object, Line>()

  enter(task: Task): void {
    const connection = task.request.socket
    const line = this.#lines.get(connection) ?? { waiting: [], current: undefined, paused: false }
    this.#lines.set(connection, line)
    line.waiting.push(task)
    if (line.current === undefined) void this.#run(connection, line)
    else if (line.waiting.length >= WAITING_MAX) {
      line.paused = true
      connection.pause()
    }
  }

  /**
   * Whether bytes that are no HTTP may be answered on this connection: not where that would be taken for the answer to
   * another request, nor in the middle of one.
   */
  mayAnswer(connection: object): boolean {
    const line = this.#lines.get(connection)
    if (line?.current === undefined) return true
    const { request, response } = line.current
    return line.waiting.length === 0 && !request.complete && !response.headersSent
  }

  async #run(connection: Connection, line: Line): Promise<void> {
    for (let task = line.waiting.shift(); task !== undefined; task = line.waiting.shift()) {
      line.current = task
      const { response, serve } = task
      const over = new Promise<void>((resolve) => response.once('close', resolve))
      if (line.paused && line.waiting.length < WAITING_MAX) {
        line.paused = false
        connection.resume()
      }
      const last = await serve()
      await over
      // What came after the last one is not begun: nobody could be told of it.
      if (last || connection.destroyed) return
    }
    line.current = undefined
  }
}
