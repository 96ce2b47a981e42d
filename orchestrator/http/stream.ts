import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Clock } from '../core/clock.js'
import type { Streamed } from './answer.js'
import { KEEP_ALIVE } from './events.js'
import { ALWAYS, STALLED_MS } from './send.js'

/** Proxies take a connection for dead on which nothing comes for a minute, some after 30 s. */
const KEEP_ALIVE_MS = 15_000

interface StreamOptions {
  readonly clock: Clock
  /** Aborted when the client has gone, or the stream is to end. */
  readonly signal: AbortSignal
}

/**
 * Sends bit by bit, no faster than the client takes it: what it has not taken yet is asked for by nobody. Done when the stream has ended,
 * and nothing of it is left. The connection ends with it, since nobody knows when another request could have its turn.
 */
export async function sendStream(
  request: IncomingMessage,
  response: ServerResponse,
  { status, headers, first, rest }: Streamed,
  { clock, signal }: StreamOptions,
): Promise<void> {
  const alive = keepAlive(response, clock)
  try {
    if (response.destroyed) return
    response.writeHead(status, { 'Cache-Control': 'no-store', ...ALWAYS, ...headers, Connection: 'close' })
    // The answer before this one on the connection has set its own; this one may be silent for as long as it likes.
    response.setTimeout(0)
    if (request.method === 'HEAD') return
    let chunk: Buffer | undefined = first
    while (chunk !== undefined && (await taken(response, chunk, { clock, signal }))) chunk = (await rest.next()).value
  } finally {
    alive.end()
    await rest.return(undefined)
    response.end()
  }
}

/** Writes, and waits until there is room for more. False when there never will be; who takes nothing for long enough is cut. */
function taken(response: ServerResponse, chunk: Buffer, { clock, signal }: StreamOptions): Promise<boolean> {
  if (response.destroyed) return Promise.resolve(false)
  if (response.write(chunk)) return Promise.resolve(true)
  return new Promise((resolve) => {
    const over = () => {
      stalled.cancel()
      response.off('drain', over).off('close', over)
      signal.removeEventListener('abort', over)
      resolve(!response.destroyed && !signal.aborted)
    }
    const stalled = clock.setTimeout(() => response.destroy(), STALLED_MS)
    response.on('drain', over).on('close', over)
    signal.addEventListener('abort', over)
    if (signal.aborted) over()
  })
}

function keepAlive(response: ServerResponse, clock: Clock): { end(): void } {
  const beat = () => {
    // Who has yet to take what was written is reminded by that.
    if (response.headersSent && !response.destroyed && !response.writableNeedDrain) response.write(KEEP_ALIVE)
    timer = clock.setTimeout(beat, KEEP_ALIVE_MS)
  }
  let timer = clock.setTimeout(beat, KEEP_ALIVE_MS)
  return { end: () => timer.cancel() }
}
