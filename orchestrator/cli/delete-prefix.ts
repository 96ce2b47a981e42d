import { encodeText, printableKey } from '../core/text.js'
import type { ControlClient } from '../wire/control.js'
import type { Connection, Context, Form } from './context.js'
import { EXIT } from './exit-codes.js'
import { carryThrough } from './follow.js'
import { withKv } from './with-kv.js'
import { counted } from './words.js'

export interface PrefixFlags {
  readonly prefix?: string
  readonly prefixHex?: string
  readonly all?: boolean
  readonly detach?: boolean
  readonly dryRun?: boolean
}

export interface PrefixTask {
  readonly prefix: Uint8Array
  /** Every key there is: the prefix is empty. */
  readonly all: boolean
  /** Does not wait for the end. */
  readonly detach: boolean
  readonly dryRun: boolean
}

/** What `kvorum delete` is to do besides deleting one key; undefined: nothing of that. Throws a TypeError for what makes no sense. */
export function prefixTaskOf(key: string | undefined, flags: PrefixFlags): PrefixTask | undefined {
  const { prefix, prefixHex, all = false, detach = false, dryRun = false } = flags
  const given = [key !== undefined, prefix !== undefined, prefixHex !== undefined, all].filter((one) => one).length
  if (given !== 1) throw new TypeError('kvorum delete takes a key, or --prefix (or --prefix-hex), or --all')
  if (key !== undefined) {
    if (detach || dryRun) throw new TypeError('--detach and --dry-run are for --prefix and --all')
    return undefined
  }
  const bytes = prefixHex === undefined ? encodeText(prefix ?? '', 'prefix') : fromHex(prefixHex)
  if (bytes.length === 0 && !all) throw new TypeError('an empty prefix is every key there is: say --all for that')
  return { prefix: bytes, all, detach, dryRun }
}

/** Deletes every key that begins so. Gives the exit code; rejects with a KvError when it could not be begun or followed. */
export async function removePrefix(
  { prefix, all, detach, dryRun }: PrefixTask,
  form: Form,
  connection: Connection,
  context: Context,
): Promise<number> {
  if (dryRun) return countThem(prefix, form, connection, context)
  const beginning = {
    ask: (client: ControlClient, deadlineMs: number) => client.deletePrefix(prefix, { deadlineMs, all }),
    nothing: () => 'there is nothing to delete',
    detach,
  }
  return carryThrough(beginning, form, connection, context)
}

async function countThem(
  prefix: Uint8Array,
  { json }: Form,
  connection: Connection,
  { out }: Context,
): Promise<number> {
  const count = await withKv(connection, (kv, left) => kv.count({ prefix, ...left() }))
  const which = prefix.length === 0 ? '' : ` that ${count === 1 ? 'begins' : 'begin'} with ${printableKey(prefix)}`
  out(
    json
      ? `${JSON.stringify({ ok: true, count })}\n`
      : `${counted(count, 'key')}${which} would be deleted; nothing was done\n`,
  )
  return EXIT.ok
}

function fromHex(text: string): Uint8Array {
  if (/^(?:[0-9a-fA-F]{2})+$/.test(text)) return Buffer.from(text, 'hex')
  throw new TypeError('--prefix-hex takes bytes as pairs of hexadecimal digits, like ff00')
}
