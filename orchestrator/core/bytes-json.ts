import { decodeText } from './text.js'

// Keys and values where JSON is written and read, by HTTP and by the command line. JSON holds texts, and a store any bytes.

/** A text, or `{"base64": "..."}` where the bytes are none. */
export function bytesInJson(bytes: Uint8Array): string | { readonly base64: string } {
  return decodeText(bytes) ?? { base64: base64Of(bytes) }
}

/** The same as a field: `key`, or `keyBase64`. */
export function fieldInJson<Name extends string>(
  name: Name,
  bytes: Uint8Array,
): { readonly [Field in Name | `${Name}Base64`]?: string } {
  const text = decodeText(bytes)
  const field = text === undefined ? { [`${name}Base64`]: base64Of(bytes) } : { [name]: text }
  return field as { readonly [Field in Name | `${Name}Base64`]?: string }
}

/** Undefined for what is no base64: Node.js would pass over it, and give other bytes. */
export function bytesFromBase64(base64: unknown): Uint8Array | undefined {
  if (typeof base64 !== 'string') return undefined
  const bytes = Buffer.from(base64, 'base64')
  return bytes.toString('base64') === base64 ? bytes : undefined
}

function base64Of(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64')
}
