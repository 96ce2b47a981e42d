import { opaqueFromText, opaqueToText } from '../core/opaque.js'
import type { Entry } from '../core/operation.js'
import { behindCursor, cursorAt, type Range, type RangeOptions, rangeOf, type ScanQuery } from '../core/range.js'
import type { PageSource } from '../store/scan/pages.js'
import { scanRuns } from '../store/scan/scan.js'
import { checkText, type Names } from './arguments.js'
import { REQUEST_OPTIONS, type RequestOptions } from './front.js'
import { type Bytes, toBytes, toText } from './values.js'

/** Which keys: those that begin with `prefix`, from `from` on, up to the one before `to`. Nothing of it: all. */
export interface RangeChoice {
  readonly prefix?: Bytes
  readonly from?: Bytes
  readonly to?: Bytes
}

export interface ScanOptions extends RequestOptions, RangeChoice {
  /** Keys at most. Default: all there are. */
  readonly limit?: number
  /** From the greatest key down. */
  readonly reverse?: boolean
  /** Values are neither read nor sent. */
  readonly keysOnly?: boolean
  /** Goes on behind the key that had this cursor, in the same direction. */
  readonly cursor?: string
}

export interface CountOptions extends RequestOptions, RangeChoice {}

export const COUNT_OPTIONS: Names<CountOptions> = { ...REQUEST_OPTIONS, prefix: true, from: true, to: true }
export const SCAN_OPTIONS: Names<ScanOptions> = {
  ...COUNT_OPTIONS,
  limit: true,
  reverse: true,
  keysOnly: true,
  cursor: true,
}

const EMPTY = new Uint8Array()

/** A key that a scan has come to. */
export class ScannedKey {
  readonly #reverse: boolean

  constructor(
    /** A copy, which may be kept. */
    readonly key: Uint8Array,
    readonly version: bigint,
    reverse: boolean,
  ) {
    this.#reverse = reverse
  }

  /** The key as text. Throws an InvalidArgumentError when it is not UTF-8. */
  keyText(): string {
    return toText(this.key)
  }

  /** For a scan that is to go on behind this key. */
  get cursor(): string {
    return opaqueToText(cursorAt(this.key, this.#reverse))
  }
}

export class ScannedEntry extends ScannedKey {
  constructor(
    key: Uint8Array,
    /** A copy, which may be kept. */
    readonly value: Uint8Array,
    version: bigint,
    reverse: boolean,
  ) {
    super(key, version, reverse)
  }

  /** The value as text. Throws an InvalidArgumentError when it is not UTF-8. */
  text(): string {
    return toText(this.value)
  }
}

/** Checks the options at once: what is wrong with them is a TypeError. */
export function scanWith(
  from: PageSource,
  options: ScanOptions,
  deadlineMs: number,
): AsyncGenerator<ScannedEntry | ScannedKey> {
  const { limit = Number.POSITIVE_INFINITY, reverse = false, keysOnly = false, cursor, signal } = options
  for (const [name, value] of Object.entries({ reverse, keysOnly })) {
    if (typeof value !== 'boolean') throw new TypeError(`${name} must be true or false`)
  }
  if (limit !== Number.POSITIVE_INFINITY && !(Number.isSafeInteger(limit) && limit >= 0)) {
    throw new TypeError('the limit must be a whole number')
  }
  checkText(cursor, 'cursor')
  const whole = chosenRange(options)
  const range = cursor === undefined ? whole : behindCursor(whole, reverse, opaqueFromText(cursor))
  const asked = checkedRequest(options.deadlineMs ?? deadlineMs, signal)
  return entriesOf(from, { range, reverse, keysOnly }, limit, asked)
}

export function chosenRange({ prefix, from, to }: RangeChoice): Range {
  const bytesOf = (given: Bytes | undefined, what: string) => (given === undefined ? EMPTY : toBytes(given, what))
  return rangeOf(bytesOf(prefix, 'prefix'), bytesOf(from, 'from'), bytesOf(to, 'to'))
}

export function checkedRequest(deadlineMs: number, signal: AbortSignal | undefined): RangeOptions {
  if (typeof deadlineMs !== 'number' || Number.isNaN(deadlineMs)) throw new TypeError('deadlineMs must be a number')
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw new TypeError('signal must be an AbortSignal')
  return { deadlineMs, signal }
}

async function* entriesOf(
  from: PageSource,
  query: ScanQuery,
  limit: number,
  options: RangeOptions,
): AsyncGenerator<ScannedEntry | ScannedKey> {
  for await (const run of scanRuns(from, query, limit, options)) {
    for (const entry of run) yield copyOf(entry, query)
  }
}

/** What comes is a view into a whole page. */
function copyOf({ key, value, version }: Entry, { reverse, keysOnly }: ScanQuery): ScannedEntry | ScannedKey {
  if (keysOnly) return new ScannedKey(Buffer.from(key), version, reverse)
  return new ScannedEntry(Buffer.from(key), Buffer.from(value), version, reverse)
}
