import { isUtf8 } from 'node:buffer'
import { inspect } from 'node:util'
import { describe } from './words.js'

const LONE_SURROGATE = /\p{Cs}/u

/**
 * The bytes of a text. A lone surrogate has none, and would silently become another character: it is a TypeError.
 * `what` names the text in the message.
 */
export function encodeText(text: unknown, what: string): Uint8Array {
  if (typeof text !== 'string') throw new TypeError(`the ${what} must be a string, not ${describe(text)}`)
  if (LONE_SURROGATE.test(text)) throw new TypeError(`the ${what} holds a lone surrogate, which no encoding can store`)
  return Buffer.from(text, 'utf8')
}

/** The text of some bytes, or undefined when they are not valid UTF-8. */
export function decodeText(bytes: Uint8Array): string | undefined {
  if (!isUtf8(bytes)) return undefined
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
}

const KEY_SHOWN_MAX = 64

/** A key for people's eyes: as text where it is text, quoted where it is not plain; a long one is cut. */
export function printableKey(key: Uint8Array): string {
  const text = decodeText(key) ?? `0x${Buffer.from(key).toString('hex')}`
  const shown = text.length > KEY_SHOWN_MAX ? `${text.slice(0, KEY_SHOWN_MAX)}...` : text
  return /^[\x21-\x7e]+$/.test(shown) ? shown : inspect(shown)
}
