import type { WatchEvent } from '../client/index.js'
import { fieldInJson } from '../core/bytes-json.js'
import { decodeText } from '../core/text.js'
import { KvError, kvError } from '../errors/index.js'
import type { Connection, Context, Form } from './context.js'
import { EXIT } from './exit-codes.js'
import { interruptibly } from './interrupt.js'
import { withKv } from './with-kv.js'
import { plain, shown } from './words.js'

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
  connection: Connection,
  context: Context,
): Promise<number> {
  const { out, warn } = context
  const print = (event: WatchEvent) => out(json ? jsonOf(event) : lineOf(event))
  return interruptibly(context, (signal) =>
    withKv(connection, async (kv) => {
      const changes = kv.watch({ prefix }, { from, progress: true, signal })
      try {
        let isBegun = false
        for await (const event of changes) {
          if (event.type !== 'progress') print(event)
          else if (!isBegun) warn(`kvorum: watching; the same again with --from ${event.token}\n`)
          isBegun = true
        }
        // A watch goes on until it fails.
        throw new TypeError('a watch has ended without a failure')
      } catch (error) {
        if (error instanceof KvError && error.token !== undefined) throw compacted(error)
        // One that never began is no further than what it was given.
        if (changes.token !== undefined && changes.token !== from)
          warn(`kvorum: watch on with --from ${changes.token}\n`)
        if (signal.aborted) return EXIT.ok
        throw error
      }
    }),
  )
}

/** With the way on as the command line has it. */
function compacted(error: KvError): KvError {
  const message = `the changes since then are not kept any more: kvorum scan shows what is there, and --from ${error.token} watches on from now`
  return kvError(error.code, message, { ...error, cause: error })
}

function lineOf(event: WatchEvent): string {
  const text = decodeText(event.key)
  const key = text === undefined ? plain(event.key) : shown(text)
  return event.type === 'delete' ? `delete ${key}\n` : `put ${key} ${plain(event.value)}\n`
}

/** Bytes that are no UTF-8 are in base64, in a field of its own. */
function jsonOf(event: WatchEvent): string {
  const { type, version, token } = event
  const value = event.type === 'put' ? fieldInJson('value', event.value) : {}
  return `${JSON.stringify({ type, ...fieldInJson('key', event.key), ...value, version: `${version}`, token })}\n`
}
