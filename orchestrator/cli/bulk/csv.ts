import type { Cut, RowReader } from './format.js'
import {
  BadRow,
  type Extras,
  FIELDS,
  type Field,
  type Fields,
  fieldsOf,
  type ReadRow,
  type Row,
  rowFrom,
  textOfRow,
} from './row.js'

// CSV by RFC 4180: a header row; a field in quotes may hold commas, line breaks and quotes, which are doubled. Rows end with LF
// or CRLF. Read byte by byte as UTF-8, in which no other character holds the bytes of a comma, a quote or a line break.

const [QUOTE, COMMA, LINE_FEED, RETURN] = [0x22, 0x2c, 0x0a, 0x0d]

export class CsvReader implements RowReader {
  /** Undefined: the header is still to come. */
  columns: readonly Field[] | undefined

  constructor(columns?: readonly string[]) {
    this.columns = columns === undefined ? undefined : columnsFrom(columns)
  }

  cut(bytes: Buffer, at: number, last: boolean): Cut | undefined {
    const row = rowAt(bytes, at, last)
    if (row === undefined) return undefined
    const { end, fields, fault } = row
    const lines = linesIn(bytes, at, end)
    if (fault !== undefined) return { end, lines, fault }
    try {
      if (fields.length === 1 && fields[0]?.length === 0) return { end, lines }
      const texts = fields.map(textOfRow)
      if (this.columns !== undefined) return { end, lines, row: rowOf(texts, this.columns) }
      this.columns = columnsFrom(texts)
      return { end, lines }
    } catch (error) {
      if (!(error instanceof BadRow)) throw error
      return { end, lines, fault: error.message }
    }
  }
}

/** Throws a TypeError for what is no header: without one nothing can be read. */
function columnsFrom(names: readonly string[]): readonly Field[] {
  const unknown = names.find((name) => !FIELDS.some((field) => field === name))
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  const has = (name: string) => names.includes(name) || names.includes(`${name}Base64`)
  if (unknown === undefined && twice === undefined && has('key') && has('value')) return names as readonly Field[]
  const wrong =
    twice !== undefined ? `${JSON.stringify(twice)} is there twice` : `it is ${JSON.stringify(names.join(','))}`
  throw new TypeError(
    `the first row of CSV names the columns: key, value, and ${FIELDS.slice(2).join(', ')} where they are needed; ${wrong}`,
  )
}

function rowOf(texts: readonly string[], columns: readonly Field[]): Row {
  if (texts.length !== columns.length) {
    throw new BadRow(
      `it has ${texts.length} ${texts.length === 1 ? 'field' : 'fields'}, and the header ${columns.length}`,
    )
  }
  // What is empty is not there, but for a value in neither column: that is the empty text.
  const fields: Partial<Record<Field, unknown>> = {}
  for (const [index, name] of columns.entries()) if (texts[index] !== '') fields[name] = texts[index]
  if (fields.valueBase64 === undefined) fields.value ??= ''
  return rowFrom(fields)
}

interface CsvRow {
  readonly end: number
  readonly fields: readonly Uint8Array[]
  readonly fault?: string
}

/** Undefined: its end is not among the bytes. */
function rowAt(bytes: Buffer, start: number, last: boolean): CsvRow | undefined {
  const fields: Uint8Array[] = []
  for (let at = start; ; ) {
    const { end, field, fault } = bytes[at] === QUOTE ? quotedAt(bytes, at) : plainAt(bytes, at)
    const [behind, next] = [bytes[end], bytes[end + 1]]
    // A return at the end of what is there may be half of a line's end.
    if (!last && (behind === undefined || (behind === RETURN && next === undefined))) return undefined
    if (fault !== undefined) return brokenAt(bytes, start, last, fault)
    fields.push(field)
    if (behind === undefined) return { end, fields }
    if (behind === LINE_FEED) return { end: end + 1, fields }
    if (behind === RETURN && (next === undefined || next === LINE_FEED)) return { end: end + (next ? 2 : 1), fields }
    if (behind !== COMMA)
      return brokenAt(bytes, start, last, 'behind a closing quote there is neither a comma nor the end of the row')
    at = end + 1
  }
}

/** A broken row ends with its line, so that it costs no other one. */
function brokenAt(bytes: Buffer, start: number, last: boolean, fault: string): CsvRow | undefined {
  const feed = bytes.indexOf(LINE_FEED, start)
  if (feed === -1 && !last) return undefined
  return { end: feed === -1 ? bytes.length : feed + 1, fields: [], fault }
}

interface FieldAt {
  readonly field: Uint8Array
  /** Where its comma or the end of its row is to be. */
  readonly end: number
  readonly fault?: string
}

function quotedAt(bytes: Buffer, start: number): FieldAt {
  let doubled = false
  for (let at = start + 1; ; at += 2) {
    const quote = bytes.indexOf(QUOTE, at)
    if (quote === -1) return { field: bytes, end: bytes.length, fault: 'a quote is not closed' }
    if (bytes[quote + 1] !== QUOTE) {
      const inside = bytes.subarray(start + 1, quote)
      return { field: doubled ? undoubled(inside) : inside, end: quote + 1 }
    }
    doubled = true
    at = quote
  }
}

/** latin1 has a character for each byte. */
function undoubled(bytes: Buffer): Uint8Array {
  return Buffer.from(bytes.toString('latin1').replaceAll('""', '"'), 'latin1')
}

function plainAt(bytes: Buffer, start: number): FieldAt {
  let at = start
  for (; at < bytes.length; at++) {
    const byte = bytes[at]
    if (byte === COMMA || byte === LINE_FEED) break
    if (byte === QUOTE)
      return { field: bytes, end: at, fault: 'a quote stands in a field that does not begin with one' }
  }
  const end = at > start && bytes[at - 1] === RETURN && bytes[at] !== COMMA ? at - 1 : at
  return { field: bytes.subarray(start, end), end }
}

function linesIn(bytes: Buffer, from: number, to: number): number {
  let lines = 0
  for (let at = bytes.indexOf(LINE_FEED, from); at !== -1 && at < to; at = bytes.indexOf(LINE_FEED, at + 1)) lines++
  // The last one may have no end.
  return bytes[to - 1] === LINE_FEED ? lines : lines + 1
}

export function csvHeader({ versions, ttls }: Extras): string {
  return `${columnsOf({ versions, ttls }).join(',')}\n`
}

function columnsOf({ versions, ttls }: Extras): readonly Field[] {
  return FIELDS.filter((name) => (name !== 'version' || versions) && (name !== 'ttlMs' || ttls))
}

export function csvOf(row: ReadRow, extras: Extras): string {
  const fields: Fields = fieldsOf(row, extras)
  return `${columnsOf(extras)
    .map((name) => quoted(String(fields[name] ?? '')))
    .join(',')}\n`
}

function quoted(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
