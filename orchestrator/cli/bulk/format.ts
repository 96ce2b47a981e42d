import { CsvReader, csvHeader, csvOf } from './csv.js'
import { JsonlReader, jsonlOf } from './jsonl.js'
import type { Extras, ReadRow, Row } from './row.js'

/** The file that stands for stdin and stdout. */
export const STANDARD = '-'

export const FORMATS = ['jsonl', 'csv'] as const
export type FormatName = (typeof FORMATS)[number]

/** The next piece of an input: a row, or what is wrong with it, or neither (a blank line, a header). */
export interface Cut {
  /** In the bytes that were given, behind it. */
  readonly end: number
  /** How many lines it is long. */
  readonly lines: number
  readonly row?: Row
  readonly fault?: string
}

/** Takes an input apart. It keeps nothing from one row to the next but the names of the columns. */
export interface RowReader {
  /** Of CSV, when they are known. */
  readonly columns: readonly string[] | undefined
  /** The piece that begins at `at`; undefined when its end is not among the bytes, unless they are the `last` ones. */
  cut(bytes: Buffer, at: number, last: boolean): Cut | undefined
}

export interface RowWriter {
  /** What stands before the first row. */
  readonly head: string
  write(row: ReadRow): string
}

/** `columns`: where reading goes on behind the header. */
export function readerOf(format: FormatName, columns?: readonly string[]): RowReader {
  return format === 'csv' ? new CsvReader(columns) : new JsonlReader()
}

export function writerOf(format: FormatName, extras: Extras): RowWriter {
  if (format === 'csv') return { head: csvHeader(extras), write: (row) => csvOf(row, extras) }
  return { head: '', write: (row) => jsonlOf(row, extras) }
}

/** What a file has by its name. Throws a TypeError when that does not tell. */
export function formatOf(file: string, asked: FormatName | undefined): FormatName {
  if (asked !== undefined) return asked
  if (/\.csv$/i.test(file)) return 'csv'
  if (file === STANDARD || /\.(?:jsonl|ndjson|json)$/i.test(file)) return 'jsonl'
  throw new TypeError(`what is in ${file} cannot be told from its name: say --format jsonl or --format csv`)
}
