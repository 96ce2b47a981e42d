import type { Entry } from './operation.js'

/** Keys from `from` on, up to the one before `to`, in the order of their bytes. Empty is open. */
export interface Range {
  readonly from: Uint8Array
  readonly to: Uint8Array
}

/** What a scan gives: keys of a range in their order. */
export interface ScanQuery {
  readonly range: Range
  /** From the greatest key down. */
  readonly reverse: boolean
  /** Values are left out. */
  readonly keysOnly: boolean
}

/** A piece of a scan. */
export interface ScanPage {
  readonly entries: readonly Entry[]
  /** To go on behind them; undefined: there are no more. */
  readonly cursor: Uint8Array | undefined
}

/** A Store, for those who ask it for ranges. Calls reject with a KvError. */
export interface RangeStore {
  /** A piece of a scan: at most so many keys, and about a MiB. `deadlineMs` is that of the whole piece. */
  scan(query: ScanQuery, limit: number, options: RangeOptions): Promise<ScanPage>
  /** How many keys there are. */
  count(range: Range, options: RangeOptions): Promise<number>
}

export interface RangeOptions {
  readonly deadlineMs: number
  readonly signal?: AbortSignal | undefined
}

/** Of the pages that a scan holds, and of a piece of one, but for one entry. */
export const SCAN_BYTES = 1 << 20
/** Entries of a piece of a scan. */
export const SCAN_ENTRIES_MAX = 10_000

const NOTHING = new Uint8Array()

/** Of the keys that begin so and are between the bounds. */
export function rangeOf(prefix: Uint8Array, from: Uint8Array, to: Uint8Array): Range {
  const end = behindPrefix(prefix)
  const begin = Buffer.compare(prefix, from) > 0 ? prefix : from
  if (end.length === 0 || to.length === 0) return { from: begin, to: end.length === 0 ? to : end }
  return { from: begin, to: Buffer.compare(end, to) < 0 ? end : to }
}

/** The least key behind all that begin so; empty: there is none. */
function behindPrefix(prefix: Uint8Array): Uint8Array {
  const last = prefix.findLastIndex((byte) => byte < 0xff)
  if (last === -1) return NOTHING
  // Not `slice`: that of a Buffer is a view, and this one is changed.
  const behind = Uint8Array.from(prefix.subarray(0, last + 1))
  behind[last] = (prefix[last] ?? 0) + 1
  return behind
}

/** The least key that is greater. */
export function keyBehind(key: Uint8Array): Uint8Array {
  const behind = new Uint8Array(key.length + 1)
  behind.set(key)
  return behind
}

// A cursor is the direction and the last key that was given.
const FORWARD = 0x66
const REVERSE = 0x72

export function cursorAt(key: Uint8Array, reverse: boolean): Uint8Array {
  const cursor = new Uint8Array(key.length + 1)
  cursor[0] = reverse ? REVERSE : FORWARD
  cursor.set(key, 1)
  return cursor
}

/** The direction of a cursor; undefined for what is none. */
export function isReverse(cursor: Uint8Array): boolean | undefined {
  if (cursor.length < 2 || (cursor[0] !== FORWARD && cursor[0] !== REVERSE)) return undefined
  return cursor[0] === REVERSE
}

/** What of a range is behind the cursor. Throws a TypeError for what is no cursor of that direction. */
export function behindCursor(range: Range, reverse: boolean, cursor: Uint8Array): Range {
  if (isReverse(cursor) !== reverse) {
    throw new TypeError('the cursor is none of a scan in this direction')
  }
  const key = cursor.subarray(1)
  if (reverse) {
    const nearer = range.to.length === 0 || Buffer.compare(key, range.to) < 0
    return nearer ? { from: range.from, to: key } : range
  }
  const behind = keyBehind(key)
  return Buffer.compare(behind, range.from) > 0 ? { from: behind, to: range.to } : range
}

/** Whether there can be no key in it. */
export function isEmptyRange({ from, to }: Range): boolean {
  return to.length > 0 && Buffer.compare(from, to) >= 0
}
