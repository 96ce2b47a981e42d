import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http'
import type { Clock } from '../core/clock.js'
import type { Answer } from './answer.js'
import { headersOf, PROBLEM_TYPE, problemOf } from './problem.js'

/** How long a client may take nothing of its answer before its connection is cut. */
export const STALLED_MS = 10_000
/** How long what a refused client still sends is read and thrown away, so that it gets to read the refusal. */
const LINGER_MS = 1_000

/** Of every answer. */
export const ALWAYS = { 'X-Content-Type-Options': 'nosniff', Server: 'kvorum' }

export interface SendOptions {
  readonly clock: Clock
  /** The connection ends with this answer. */
  readonly last: boolean
}

/** Sends the whole answer. Says whether it is the connection's last. */
export function send(
  request: IncomingMessage,
  response: ServerResponse,
  { status, headers, body }: Answer,
  { clock, last }: SendOptions,
): boolean {
  // The client has gone: there is nobody to tell.
  if (response.destroyed) return true
  const unread = !request.complete
  const close = last || unread
  const bare = status === 204 || status === 304
  response.writeHead(status, {
    'Cache-Control': 'no-store',
    ...ALWAYS,
    ...headers,
    ...(bare ? {} : { 'Content-Length': body.byteLength }),
    ...(close ? { Connection: 'close' } : {}),
  })
  // Without a listener this cuts the connection.
  response.setTimeout(STALLED_MS)
  if (!unread) response.end(body)
  else lingerAfter(request, response, body, clock)
  return close
}

/** To close a connection on which bytes arrive resets it, and the client might never see the answer. */
function lingerAfter(request: IncomingMessage, response: ServerResponse, body: Buffer, clock: Clock): void {
  response.write(body)
  const end = () => {
    timer.cancel()
    if (!response.writableEnded) response.end()
  }
  const timer = clock.setTimeout(end, LINGER_MS)
  request.once('end', end).once('close', end).once('error', end).resume()
}

export function problemAnswer(thrown: unknown, write: boolean): Answer {
  const problem = problemOf(thrown, write)
  const body = Buffer.from(`${JSON.stringify(problem)}\n`)
  return { status: problem.status, headers: { 'Content-Type': PROBLEM_TYPE, ...headersOf(thrown, problem) }, body }
}

/** The same for what could not even be read as a request, byte by byte. */
export function rawAnswer({ status, headers, body }: Answer): string {
  const lines = Object.entries({ ...ALWAYS, ...headers, 'Content-Length': body.byteLength, Connection: 'close' })
  const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')
  return `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${head}\r\n${body.toString()}`
}
