import { KvClient, type WatchEvent } from '../client/index.js'
import { KvError } from '../errors/index.js'
import type { Connection, Context, Form } from './context.js'
import { EXIT } from './exit-codes.js'
import { shown } from './words.js'

/** What a person or a script ends it with. */
const STOPS = ['SIGINT', 'SIGTERM'] as const

export interface WatchFlags {
  /** A token of a watch of the same prefix. */
  readonly from?: string
}

/**
 * Prints what changes of the keys that begin so, until Ctrl-C or a failure. What it prints for people has no tokens: where it began and how far
 * it came is said beside it, so that another one can go on.
 */
export async function watch(
  prefix: string,
  { from }: WatchFlags,
  { json }: Form,
  { address, timeoutMs }: Connection,
  { out, warn }: Context,
): Promise<number> {
  const client = await KvClient.connect({ endpoints: [address], mode: 'gateway', deadlineMs: timeoutMs })
  const over = new AbortController()
  const stop = () => over.abort()
  for (const name of STOPS) process.once(name, stop)
  const changes = client.watch({ prefix }, { from, progress: true, signal: over.signal })
  try {
    let isBegun = false
    for await (const event of changes) {
      if (event.type !== 'progress') out(json ? jsonOf(event) : lineOf(event))
      else if (!isBegun) warn(`kvorum: watching; the same again with --from ${event.token}\n`)
      isBegun = true
    }
    // A watch goes on until it fails.
    throw new TypeError('a watch has ended without a failure')
  } catch (error) {
    if (error instanceof KvError && error.token !== undefined) {
      warn(`kvorum: watch on from now with --from ${error.token}\n`)
    } else if (changes.token !== undefined) {
      warn(`kvorum: watch on with --from ${changes.token}\n`)
    }
    if (over.signal.aborted) return EXIT.ok
    throw error
  } finally {
    for (const name of STOPS) process.off(name, stop)
    await client.close({ drainMs: 0 })
  }
}

function lineOf(event: WatchEvent): string {
  const key = shown(textOf(event.key))
  if (event.type === 'delete') return `delete ${key}\n`
  return `put ${key} ${textOf(event.value)}\n`
}

/** Bytes that are no UTF-8 are in base64, in a field of its own. */
function jsonOf(event: WatchEvent): string {
  const { type, version, token } = event
  const value = event.type === 'put' ? fieldOf('value', event.value) : {}
  return `${JSON.stringify({ type, ...fieldOf('key', event.key), ...value, version: `${version}`, token })}\n`
}

function fieldOf(name: string, bytes: Uint8Array): Record<string, string> {
  try {
    return { [name]: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes) }
  } catch {
    return { [`${name}Base64`]: Buffer.from(bytes).toString('base64') }
  }
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString()
}
