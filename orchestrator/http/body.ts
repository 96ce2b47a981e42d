import type { IncomingMessage } from 'node:http'
import { decodeText } from '../core/text.js'
import { invalidArgument, TooLargeError } from '../errors/index.js'
import type { Hold } from './held.js'
import { HttpRefusal } from './problem.js'

export interface BodyLimits {
  readonly bytesMax: number
  readonly hold: Hold
  /** Called when the body is about to be read: a client that asked whether to send it may. */
  readonly go: () => void
}

/** Reads the whole body, within its limits: whoever sends more is not read on. Rejects when the client goes away. */
export async function readBody(request: IncomingMessage, { bytesMax, hold, go }: BodyLimits): Promise<Buffer> {
  // Node.js has seen to it that this is a number, if it is there.
  if (Number(request.headers['content-length'] ?? 0) > bytesMax) throw tooLarge(bytesMax)
  go()
  const chunks: Buffer[] = []
  let bytes = 0
  return new Promise((resolve, reject) => {
    const end = (error?: Error) => {
      request.off('data', take).off('end', end).off('error', end).off('close', gone)
      // What is still to come is not for us: whoever answers decides what becomes of the connection.
      if (error === undefined) resolve(Buffer.concat(chunks))
      else reject(error)
    }
    const gone = () => end(invalidArgument('the request ended before its body did'))
    const take = (chunk: Buffer) => {
      bytes += chunk.length
      try {
        if (bytes > bytesMax) throw tooLarge(bytesMax)
        hold.take(chunk.length)
      } catch (refusal) {
        request.pause()
        end(refusal as Error)
        return
      }
      chunks.push(chunk)
    }
    request.on('data', take).once('end', end).once('error', gone).once('close', gone)
  })
}

/** What stands in a body that nobody reads might be a condition: it is refused, never passed over. */
export function expectNoBody({ headers }: IncomingMessage): void {
  if (Number(headers['content-length'] ?? 0) === 0 && headers['transfer-encoding'] === undefined) return
  throw invalidArgument('this operation takes no body: conditions are headers, options are in the query')
}

export type MediaType = 'json' | 'bytes'

/**
 * What the body is. `lax`: no Content-Type, or a form's, which is what `curl -d` says, is JSON. That would be wrong for a POST: a
 * web page may send one of those anywhere without being asked, but neither JSON nor a PUT.
 */
export function mediaTypeOf({ headers }: IncomingMessage, lax: boolean): MediaType {
  const encoding = headers['content-encoding'] ?? 'identity'
  if (encoding !== 'identity') throw unsupported(`Content-Encoding: ${encoding} is not understood`)
  const type = headers['content-type']?.split(';')[0]?.trim().toLowerCase()
  if (type === 'application/json') return 'json'
  if (type === 'application/octet-stream') return 'bytes'
  if (lax && (type === undefined || type === 'application/x-www-form-urlencoded')) return 'json'
  throw unsupported(type === undefined ? 'the Content-Type is missing' : `Content-Type: ${type} is not understood`)
}

export function parseJson(body: Buffer): unknown {
  const text = decodeText(body)
  if (text === undefined) throw invalidArgument('the body is not UTF-8')
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw invalidArgument(`the body is not JSON: ${(cause as SyntaxError).message}`)
  }
}

function tooLarge(bytesMax: number): TooLargeError {
  return new TooLargeError(`the body has more than ${bytesMax} bytes`, { outcome: 'not-applied' })
}

function unsupported(message: string): HttpRefusal {
  return new HttpRefusal(415, 'UNSUPPORTED_MEDIA_TYPE', message)
}
