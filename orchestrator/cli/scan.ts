import type { RangeChoice, ScannedEntry, ScannedKey } from '../client/index.js'
import { bytesInJson } from '../core/bytes-json.js'
import { decodeText } from '../core/text.js'
import type { Connection, Context, Form } from './context.js'
import { EXIT } from './exit-codes.js'
import { withNearKv } from './with-kv.js'

export interface ScanFlags extends RangeChoice {
  readonly limit?: number
  readonly reverse?: boolean
  readonly keysOnly?: boolean
  /** What a scan that its limit has ended has told. */
  readonly cursor?: string
}

/** Rows whose columns are made as wide as they need, together: the first are shown before all are read. */
const BLOCK_ROWS = 200
/** A longer value, or key, would hide the others. */
const SHOWN_MAX = 60
/** Of more nobody chooses by looking. */
const OFFERED_MAX = 50

/** Prints the keys of a range in their order: a table for people, a line of JSON each for programs. Tells how to go on behind a limit. */
export function scan(
  { keysOnly = false, limit = Number.POSITIVE_INFINITY, ...flags }: ScanFlags,
  { json }: Form,
  connection: Connection,
  { out, warn, interrupted: signal }: Context,
): Promise<number> {
  return withNearKv(connection, async (client) => {
    let block: string[][] = keysOnly ? [['KEY', 'VERSION']] : [['KEY', 'VERSION', 'VALUE']]
    const chosen = { ...flags, limit: limit + 1, signal }
    let [printed, last]: [number, ScannedKey | undefined] = [0, undefined]
    for await (const entry of keysOnly ? client.scan({ ...chosen, keysOnly }) : client.scan(chosen)) {
      if (printed++ === limit) break
      last = entry
      if (json) out(`${JSON.stringify(jsonOf(entry))}\n`)
      else block.push(rowOf(entry))
      if (block.length < BLOCK_ROWS) continue
      out(aligned(block))
      block = []
    }
    if (!json) out(aligned(block))
    if (printed > limit) warn(`kvorum: there are more keys: go on with --cursor ${last?.cursor}\n`)
    return EXIT.ok
  })
}

/** Prints how many keys a range has. */
export async function count(
  range: RangeChoice,
  { json }: Form,
  connection: Connection,
  { out }: Context,
): Promise<number> {
  const keys = await withNearKv(connection, (client) => client.count(range))
  out(json ? `${JSON.stringify({ ok: true, count: keys })}\n` : `${keys}\n`)
  return EXIT.ok
}

/** Keys that begin so, for completion: none where nobody answers, since the command itself will say so. */
export async function keysFrom(prefix: string, connection: Connection): Promise<string[]> {
  const keys: string[] = []
  try {
    await withNearKv(connection, async (client) => {
      for await (const { key } of client.scan({ prefix, keysOnly: true, limit: OFFERED_MAX })) {
        const text = decodeText(key)
        // What has blanks would have to be quoted.
        if (text !== undefined && !/[\s'"\\]/.test(text)) keys.push(text)
      }
    })
  } catch {
    return []
  }
  return keys
}

function jsonOf(entry: ScannedEntry | ScannedKey) {
  const about = { key: bytesInJson(entry.key), version: String(entry.version) }
  return 'value' in entry ? { ...about, value: bytesInJson(entry.value) } : about
}

function rowOf(entry: ScannedEntry | ScannedKey): string[] {
  const row = [shownBytes(entry.key), String(entry.version)]
  return 'value' in entry ? [...row, shownBytes(entry.value)] : row
}

/** One line, which shows what is no plain text as such; a long one is cut. */
function shownBytes(bytes: Uint8Array): string {
  const start = bytes.subarray(0, 4 * SHOWN_MAX)
  // A cut may be in the middle of a character.
  const text =
    decodeText(bytes) === undefined ? `0x${Buffer.from(start).toString('hex')}` : Buffer.from(start).toString()
  const plain = /^[^\p{Cc}\p{Zl}\p{Zp}]*$/u.test(text) ? text : JSON.stringify(text)
  const characters = [...plain]
  return characters.length <= SHOWN_MAX && start.length === bytes.length
    ? plain
    : `${characters.slice(0, SHOWN_MAX).join('')}...`
}

function aligned(rows: readonly string[][]): string {
  const columns = rows[0]?.length ?? 0
  const widths = Array.from({ length: columns }, (_, at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)))
  const lines = rows.map((row) =>
    row
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join('  ')
      .trimEnd(),
  )
  return lines.map((line) => `${line}\n`).join('')
}
