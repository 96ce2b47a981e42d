import { decodeText, encodeText } from '../core/text.js'
import { describe } from '../core/words.js'
import { invalidArgument } from '../errors/index.js'

/** What keys and values may be given as. Bytes belong to the operation until it is answered: do not change them. */
export type Bytes = string | Uint8Array

/** `what` names it in the TypeError for anything else. */
export function toBytes(given: Bytes, what: string): Uint8Array {
  if (given instanceof Uint8Array) return given
  if (typeof given === 'string') return encodeText(given, what)
  throw new TypeError(`the ${what} must be a string or a Uint8Array, not ${describe(given)}`)
}

/** Throws an InvalidArgumentError for bytes that are no UTF-8: what is returned can be put back. */
export function toText(value: Uint8Array): string {
  const text = decodeText(value)
  if (text !== undefined) return text
  const message = 'the value is not UTF-8 text: somebody stored other bytes under this key'
  throw invalidArgument(message)
}

/** A value that was found. */
export class Hit {
  constructor(
    /** A copy, which may be kept. */
    readonly value: Uint8Array,
    /** Of the key; for `ifVersion`. */
    readonly version: bigint,
    /** What was left of its time to live, ms, when it was read; undefined: it has none. 0: it is due, and about to be deleted. */
    readonly ttlMs?: number,
  ) {}

  /** The value as text. Throws an InvalidArgumentError when it is not UTF-8. */
  text(): string {
    return toText(this.value)
  }
}
