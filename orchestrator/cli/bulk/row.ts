import { bytesFromBase64, fieldInJson } from '../../core/bytes-json.js'
import { TTL_MS_MAX } from '../../core/operation.js'
import { decodeText, encodeText } from '../../core/text.js'

// What a row of a file is, in either format.

/** A key that is to be there. */
export interface Row {
  readonly key: Uint8Array
  readonly value: Uint8Array
  /** How long it lives, from when it is put; undefined: for ever. */
  readonly ttlMs?: number | undefined
}

/** A row that an export has read. */
export interface ReadRow extends Row {
  readonly version: bigint
}

/** What an export writes besides keys and values. */
export interface Extras {
  readonly versions: boolean
  readonly ttls: boolean
}

/** What is wrong with a row, in words that can follow its line number. */
export class BadRow extends Error {}

/**
 * The fields of JSONL and the columns of CSV. What is text is in `key` and `value`, other bytes in the ones in base64, so that whatever
 * is stored comes back as it was. A version is told and never taken: the store gives its own.
 */
export const FIELDS = ['key', 'value', 'keyBase64', 'valueBase64', 'version', 'ttlMs'] as const
export type Field = (typeof FIELDS)[number]
export type Fields = Readonly<Partial<Record<Field, unknown>>>

export function rowFrom({ key, keyBase64, value, valueBase64, ttlMs }: Fields): Row {
  const row = {
    key: bytesFrom('key', key, keyBase64),
    value: bytesFrom('value', value, valueBase64),
    ttlMs: ttlFrom(ttlMs),
  }
  if (row.key.length === 0) throw new BadRow('the key is empty')
  return row
}

/** What a row's fields are. */
export function fieldsOf({ key, value, version, ttlMs }: ReadRow, { versions, ttls }: Extras): Fields {
  return {
    ...fieldInJson('key', key),
    ...fieldInJson('value', value),
    ...(versions ? { version: String(version) } : {}),
    ...(ttls && ttlMs !== undefined ? { ttlMs } : {}),
  }
}

/** `{"base64": "..."}` is what kvorum scan --json and HTTP say for bytes that are no text. */
function bytesFrom(name: string, text: unknown, base64: unknown): Uint8Array {
  if (text !== undefined && base64 !== undefined)
    throw new BadRow(`it has ${name} and ${name}Base64: one of them is meant`)
  if (typeof text === 'object' && text !== null) {
    const { base64: inside, ...rest } = text as { readonly base64?: unknown }
    if (Object.keys(rest).length === 0) return decoded(name, inside)
  }
  if (base64 !== undefined) return decoded(`${name}Base64`, base64)
  if (text === undefined) throw new BadRow(`it has no ${name} (nor ${name}Base64)`)
  if (typeof text !== 'string') throw new BadRow(`the ${name} is no text`)
  try {
    return encodeText(text, name)
  } catch (error) {
    throw new BadRow((error as TypeError).message)
  }
}

function decoded(name: string, base64: unknown): Uint8Array {
  const bytes = bytesFromBase64(base64)
  if (bytes === undefined) throw new BadRow(`what ${name} has is no base64`)
  return bytes
}

function ttlFrom(given: unknown): number | undefined {
  if (given === undefined || given === null) return undefined
  const ms = typeof given === 'string' && /^\d{1,15}$/.test(given) ? Number(given) : given
  if (typeof ms === 'number' && Number.isInteger(ms) && ms >= 1 && ms <= TTL_MS_MAX) return ms
  throw new BadRow(`ttlMs is a whole number of ms from 1 to ${TTL_MS_MAX} (10 years), or is left out`)
}

/** The text of a whole row. What is no UTF-8 would come out as other bytes. */
export function textOfRow(bytes: Uint8Array): string {
  const text = decodeText(bytes)
  if (text === undefined) throw new BadRow('it is not UTF-8: other bytes go into keyBase64 and valueBase64')
  return text
}
