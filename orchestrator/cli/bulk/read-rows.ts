import { createHash, type Hash } from 'node:crypto'
import type { RowReader } from './format.js'
import type { Row } from './row.js'

// Takes an input apart into batches of rows, and knows after each of them how far it is.

/** How far an input has been read: so many bytes, in which so many lines have ended. */
export interface Position {
  readonly offset: number
  readonly lines: number
}

export interface Batch {
  readonly rows: readonly InputRow[]
  /** Instead of rows: what is wrong with the line that comes next. */
  readonly bad?: BadLine
  /** Of keys and values. */
  readonly bytes: number
  /** Behind the last row. */
  readonly end: Position
  /** Of all bytes before that. */
  readonly hash: Hash
}

export interface InputRow extends Row {
  readonly line: number
}

export interface BadLine {
  readonly line: number
  readonly why: string
  /** The line itself, or the beginning of it. */
  readonly text: string
}

/** Rows that are put together: more would wait for each other, fewer cost a message each. */
const BATCH_ROWS = 256
const BATCH_BYTES = 512 << 10
/** A value of 8 MiB in which each byte takes six, and then some. More is no row, and would fill the memory. */
const ROW_BYTES_MAX = 64 << 20
const TEXT_SHOWN_MAX = 4096

const MARK = Buffer.from([0xef, 0xbb, 0xbf])
const NOTHING = Buffer.alloc(0)

export interface Beginning {
  readonly at: Position
  /** Has had all bytes before it. */
  readonly hash: Hash
}

export const fromStart = (): Beginning => ({ at: { offset: 0, lines: 0 }, hash: createHash('sha256') })

export interface ReadOptions {
  readonly rowBytesMax?: number
}

/** Reads no further than it is asked for: its reader's patience is the input's. */
export async function* readRows(
  chunks: AsyncIterable<Buffer>,
  reader: RowReader,
  { at, hash }: Beginning,
  { rowBytesMax = ROW_BYTES_MAX }: ReadOptions = {},
): AsyncGenerator<Batch> {
  const taking = new Taking(reader, at, hash, rowBytesMax)
  for await (const chunk of chunks) {
    taking.add(chunk)
    yield* taking.batches(false)
  }
  yield* taking.batches(true)
}

/** What has been read and not been taken yet. */
class Taking {
  #bytes: Buffer = NOTHING
  /** In them: where the next row begins, and how far the hash has come. */
  #next = 0
  #hashed = 0
  #offset: number
  #lines: number
  #rows: InputRow[] = []
  #size = 0
  /** A row that is too long, and whose end is still to come. */
  #endless: BadLine | undefined

  constructor(
    private readonly reader: RowReader,
    at: Position,
    private readonly hash: Hash,
    private readonly rowBytesMax: number,
  ) {
    this.#offset = at.offset
    this.#lines = at.lines
  }

  add(chunk: Buffer): void {
    const rest = this.#bytes.subarray(this.#hashed)
    this.#next -= this.#hashed
    this.#hashed = 0
    this.#bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
  }

  *batches(last: boolean): Generator<Batch> {
    this.#skipMark(last)
    while (this.#next < this.#bytes.length || (last && this.#endless !== undefined)) {
      if (this.#endless !== undefined) {
        const bad = this.#endless
        if (!this.#skipLine(last)) break
        yield this.#batch(bad)
        continue
      }
      const [from, line] = [this.#next, this.#lines + 1]
      const cut = this.reader.cut(this.#bytes, from, last)
      if (cut === undefined && this.#bytes.length - from <= this.rowBytesMax) break
      const { end, lines, row, fault } = cut ?? {
        end: from,
        lines: 0,
        fault: `it is longer than ${this.rowBytesMax} bytes`,
      }
      if (fault !== undefined && this.#rows.length > 0) yield this.#batch()
      this.#next = end
      this.#lines += lines
      if (row !== undefined) {
        this.#rows.push({ ...row, line })
        this.#size += row.key.length + row.value.length
      }
      const bad =
        fault === undefined ? undefined : { line, why: fault, text: shownText(this.#bytes.subarray(from, cut?.end)) }
      if (cut === undefined) this.#endless = bad
      else if (bad !== undefined) yield this.#batch(bad)
      else if (this.#rows.length >= BATCH_ROWS || this.#size >= BATCH_BYTES) yield this.#batch()
    }
    // What no row is made of need not be kept.
    if (this.#rows.length === 0) this.#pass()
    if (last) yield this.#batch()
  }

  #batch(bad?: BadLine): Batch {
    this.#pass()
    const [rows, bytes] = [this.#rows, this.#size]
    this.#rows = []
    this.#size = 0
    return { rows, bad, bytes, end: { offset: this.#offset, lines: this.#lines }, hash: this.hash.copy() }
  }

  #pass(): void {
    this.hash.update(this.#bytes.subarray(this.#hashed, this.#next))
    this.#offset += this.#next - this.#hashed
    this.#hashed = this.#next
  }

  /** Some editors put a mark before UTF-8. */
  #skipMark(last: boolean): void {
    if (this.#offset > 0 || this.#next > 0 || (this.#bytes.length < MARK.length && !last)) return
    if (MARK.equals(this.#bytes.subarray(0, MARK.length))) this.#next = MARK.length
  }

  /** Nothing can be made of a row that is too long: it ends with its first line. False: the end is still to come. */
  #skipLine(last: boolean): boolean {
    const feed = this.#bytes.indexOf('\n', this.#next)
    this.#next = feed === -1 ? this.#bytes.length : feed + 1
    if (feed === -1 && !last) return false
    this.#lines++
    this.#endless = undefined
    return true
  }
}

function shownText(bytes: Buffer): string {
  const text = bytes.subarray(0, TEXT_SHOWN_MAX).toString()
  return bytes.length > TEXT_SHOWN_MAX ? `${text}...` : text.replace(/\r?\n$/, '')
}
