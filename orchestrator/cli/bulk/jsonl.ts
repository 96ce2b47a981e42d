import type { Cut, RowReader } from './format.js'
import {
  BadRow,
  type Extras,
  FIELDS,
  type Fields,
  fieldsOf,
  type ReadRow,
  type Row,
  rowFrom,
  textOfRow,
} from './row.js'

// JSONL: an object a line. JSON writes every line break inside a text as \n, so a line is a row.

const LINE_FEED = 0x0a
const NAMES: ReadonlySet<string> = new Set(FIELDS)

export class JsonlReader implements RowReader {
  readonly columns = undefined

  cut(bytes: Buffer, at: number, last: boolean): Cut | undefined {
    const feed = bytes.indexOf(LINE_FEED, at)
    if (feed === -1 && !last) return undefined
    const [stop, end] = feed === -1 ? [bytes.length, bytes.length] : [feed, feed + 1]
    try {
      const text = textOfRow(bytes.subarray(at, stop))
      return text.trim() === '' ? { end, lines: 1 } : { end, lines: 1, row: rowOf(text) }
    } catch (error) {
      if (!(error instanceof BadRow)) throw error
      return { end, lines: 1, fault: error.message }
    }
  }
}

function rowOf(line: string): Row {
  const fields = parsed(line)
  if (typeof fields !== 'object' || fields === null || Array.isArray(fields)) throw new BadRow('it is no JSON object')
  // One that is misspelt would be passed over: a ttl that is not there is a key that stays.
  const unknown = Object.keys(fields).find((name) => !NAMES.has(name))
  if (unknown !== undefined)
    throw new BadRow(`it has a field ${JSON.stringify(unknown)}: there are ${FIELDS.join(', ')}`)
  return rowFrom(fields as Fields)
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch (error) {
    throw new BadRow(`it is no JSON (${(error as SyntaxError).message})`)
  }
}

export function jsonlOf(row: ReadRow, extras: Extras): string {
  return `${JSON.stringify(fieldsOf(row, extras))}\n`
}
