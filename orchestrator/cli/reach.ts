import { connect } from 'node:http2'
import { type Clock, systemClock } from '../core/clock.js'
import { UnavailableError } from '../errors/index.js'
import { NO_GRPC, whyNoConnection } from '../wire/plain-words.js'

/** How long a server that is there may take to be heard. */
export const REACH_MS = 2_000

/** Nobody was there to be asked, so nothing was asked. */
export class NoServerError extends UnavailableError {
  constructor(message: string, cause?: unknown) {
    super(message, { outcome: 'not-applied', cause })
  }
}

/**
 * Resolves when somebody on `address` speaks HTTP/2, which a gateway does as soon as it is connected; rejects with a
 * NoServerError otherwise, at the latest after `timeoutMs`. A client would go on trying until its deadline, because a
 * gateway may be coming back: right for a program, and a riddle to a person who has not started one.
 */
export function reach(address: string, timeoutMs = REACH_MS, clock: Clock = systemClock): Promise<void> {
  return new Promise((resolve, reject) => {
    const session = connect(urlOf(address))
    const end = (error?: NoServerError) => {
      timer.cancel()
      session.destroy()
      if (error === undefined) resolve()
      else reject(error)
    }
    const timer = clock.setTimeout(() => end(silence(address, timeoutMs)), timeoutMs)
    session.once('remoteSettings', () => end())
    // Stays: an error may follow the first one.
    session.on('error', (error: NodeJS.ErrnoException) => end(absence(address, whyOf(error), error)))
    session.once('close', () => end(absence(address, 'it hung up')))
  })
}

function absence(address: string, why: string, cause?: unknown): NoServerError {
  const advice = 'start one with npm start, or say --address'
  return new NoServerError(`no Kvorum server answers on ${address} (${why}); ${advice}`, cause)
}

/** Of a server that had too little time to be heard it is not known whether it is there. */
function silence(address: string, timeoutMs: number): NoServerError {
  if (timeoutMs >= REACH_MS) return absence(address, `nothing heard within ${timeoutMs} ms`)
  return new NoServerError(`nothing was heard from ${address} within ${timeoutMs} ms; give it longer with --timeout`)
}

/** An IPv6 host may stand without brackets in an address, but not in a URL. */
function urlOf(address: string): string {
  const colon = address.lastIndexOf(':')
  const host = address.slice(0, colon)
  const bare = host.includes(':') && !host.startsWith('[')
  return `http://${bare ? `[${host}]` : host}${address.slice(colon)}`
}

function whyOf({ code = '', message }: NodeJS.ErrnoException): string {
  // Bytes that are no HTTP/2.
  if (code.startsWith('ERR_HTTP2')) return `it ${NO_GRPC}`
  return whyNoConnection(code) ?? message
}
