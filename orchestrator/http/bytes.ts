import { z } from 'zod'
import { bytesFromBase64 } from '../core/bytes-json.js'
import { encodeText } from '../core/text.js'
import { invalidArgument } from '../errors/index.js'
import { named } from './named.js'

// Bytes as JSON carries them.

/** Strict: padded, and no bits that mean nothing. */
const BASE64 = '^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?$'

const base64 = z
  .string()
  // Not by the pattern: an engine that backtracks must not see megabytes.
  .refine((text) => bytesFromBase64(text) !== undefined, 'must be base64, padded')
  .meta({ pattern: BASE64, contentEncoding: 'base64' })
/** Not empty. What is said of a schema is not said of those that are made of it. */
export const someBase64 = base64.min(4).meta({ pattern: BASE64, contentEncoding: 'base64' })

export const Bytes = named(
  'Bytes',
  'A text is its UTF-8 bytes. Bytes that are no UTF-8 are {"base64": "..."}, in both directions.',
  z.union([z.string(), z.strictObject({ base64 })], {
    error: 'must be a text, or {"base64": "..."} with padding for bytes that are no UTF-8',
  }),
)

export type BytesJson = z.output<typeof Bytes>

export const Key = named(
  'Key',
  'Bytes, at least one.',
  z.union([z.string().min(1), z.strictObject({ base64: someBase64 })], {
    error: 'must be a text, or {"base64": "..."} with padding for bytes that are no UTF-8, and not empty',
  }),
)

/** The bytes of a key or a value as JSON carries it. */
export function bytesFrom(json: BytesJson, what: string): Uint8Array {
  if (typeof json !== 'string') return Buffer.from(json.base64, 'base64')
  try {
    return encodeText(json, what)
  } catch (cause) {
    throw invalidArgument((cause as TypeError).message, cause)
  }
}
