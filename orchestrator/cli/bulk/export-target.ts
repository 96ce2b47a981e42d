import { once } from 'node:events'
import { statSync } from 'node:fs'
import { type FileHandle, open, rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { RangeChoice } from '../../client/index.js'
import type { Clock } from '../../core/clock.js'
import type { FormatName } from './format.js'
import type { Extras } from './row.js'
import { readState, removeState, writeState } from './state-file.js'
import { isElsewhere, thisWriter, type Writer } from './writer.js'

/** How far an export is. */
export interface Place {
  readonly rows: number
  /** Of the last row; undefined: there is none yet. */
  readonly cursor: string | undefined
}

/** Where an export goes. */
export interface Target {
  /** What stands there. */
  readonly place: Place
  /** When it was begun, by whomever, ms since 1970; undefined: nobody knows. */
  readonly begunAt: number | undefined
  /** What a person does who does not want that it goes on: what stands there may be of long ago. */
  readonly anew: string
  /** Resolves when more can be taken; `place`: the end of the text. */
  write(text: string, place: Place): Promise<void>
  /** All is there. */
  finish(): Promise<void>
  /** Keeps what has been written, for an export that goes on. */
  close(): Promise<void>
}

export class StandardOut implements Target {
  place: Place = { rows: 0, cursor: undefined }
  readonly begunAt = undefined
  readonly anew = ''

  async write(text: string, place: Place): Promise<void> {
    if (!process.stdout.write(text)) await once(process.stdout, 'drain')
    this.place = place
  }

  async finish(): Promise<void> {}

  async close(): Promise<void> {}
}

/** What an export is of: another one cannot go on with it. */
export interface What {
  readonly clusterId: string
  readonly format: FormatName
  readonly range: RangeChoice
  readonly extras: Extras
}

/** The state file: the first `bytes` of the part file are whole rows, up to `place`, and durable. */
interface Kept extends Writer {
  readonly format: 1
  readonly what: string
  readonly bytes: number
  readonly place: Place
  /** Earlier versions did not say it. */
  readonly begunAt?: number | undefined
}

/** What a kill may cost, and an fsync is worth. */
const KEEP_EVERY_MS = 1_000

/** A file that is there only when it is whole. Its beginning is in another one beside it, and in a third how much of that counts. */
export class PartFile implements Target {
  #keptAt: number
  #kept: Place
  #done = false

  private constructor(
    private readonly file: string,
    private readonly what: string,
    private readonly clock: Clock,
    private readonly part: FileHandle,
    private bytes: number,
    public place: Place,
    readonly begunAt: number | undefined,
  ) {
    this.#keptAt = clock.monotonic()
    this.#kept = place
  }

  /** Throws a TypeError when something else was begun there, and for what is no file. */
  static async open(file: string, about: What, clock: Clock): Promise<PartFile> {
    if (statSync(file, { throwIfNoEntry: false })?.isFile() === false) {
      throw new TypeError(`${file} is no file: export to -, which is stdout`)
    }
    const what = JSON.stringify(about)
    const found = readState<Kept>(stateOf(file))
    if (found !== undefined && isElsewhere(found)) throw new TypeError(busy(file, found.pid))
    // What has no row yet is of no use to anybody.
    const kept = found?.place.cursor === undefined ? undefined : found
    if (kept !== undefined && kept.what !== what) {
      const remove = `remove ${stateOf(file)} and ${partOf(file)} to begin anew`
      throw new TypeError(
        `an export to ${file} that is not finished was of other keys, another form or another cluster; ${remove}`,
      )
    }
    try {
      const old = kept === undefined ? undefined : await reopened(partOf(file), kept.bytes)
      const fresh = { bytes: 0, place: { rows: 0, cursor: undefined }, begunAt: clock.now() }
      const { bytes, place, begunAt } = old !== undefined && kept !== undefined ? kept : fresh
      const part = old ?? (await open(partOf(file), 'w'))
      const target = new PartFile(file, what, clock, part, bytes, place, begunAt)
      await target.#claim()
      return target
    } catch (error) {
      throw new TypeError(`${file} cannot be written: ${(error as Error).message}`, { cause: error })
    }
  }

  get anew(): string {
    return `remove ${stateOf(this.file)} to begin anew`
  }

  async write(text: string, place: Place): Promise<void> {
    const bytes = Buffer.from(text)
    let written = 0
    while (written < bytes.length) {
      const { bytesWritten } = await this.part.write(bytes, written, bytes.length - written, this.bytes + written)
      written += bytesWritten
    }
    this.bytes += bytes.length
    this.place = place
    if (this.clock.monotonic() - this.#keptAt >= KEEP_EVERY_MS) await this.#keep()
  }

  async finish(): Promise<void> {
    await this.part.sync()
    await rename(partOf(this.file), this.file)
    const folder = await open(dirname(this.file), 'r')
    await folder.sync().finally(() => folder.close())
    removeState(stateOf(this.file))
    this.#done = true
  }

  async close(): Promise<void> {
    try {
      if (!this.#done && this.place !== this.#kept) await this.#keep()
      if (this.place.cursor === undefined) removeState(stateOf(this.file))
    } finally {
      await this.part.close()
    }
  }

  /** Says who writes, before the first row is written. */
  async #claim(): Promise<void> {
    try {
      this.#say()
    } catch (error) {
      await this.part.close()
      throw error
    }
  }

  async #keep(): Promise<void> {
    // Before the first row there is nothing to go on behind: whoever comes next begins anew, with the header.
    if (this.place.cursor === undefined) return
    await this.part.datasync()
    this.#say()
    this.#keptAt = this.clock.monotonic()
    this.#kept = this.place
  }

  #say(): void {
    const { what, bytes, place, begunAt } = this
    const kept: Kept = { format: 1, what, bytes, place, begunAt, ...thisWriter() }
    writeState(stateOf(this.file), kept)
  }
}

/** The part, cut off behind the rows that count: what follows may be half of one. Undefined: it is not there, or not all of it. */
async function reopened(path: string, bytes: number): Promise<FileHandle | undefined> {
  const { size } = statSync(path, { throwIfNoEntry: false }) ?? { size: -1 }
  if (size < bytes) return undefined
  const part = await open(path, 'r+')
  await part.truncate(bytes)
  return part
}

function busy(file: string, pid: number): string {
  const state = stateOf(file)
  return `process ${pid} is exporting to ${file}, ${state} says: wait for it, or end it; if that is another program, remove ${state}`
}

function partOf(file: string): string {
  return `${file}.kvorum-part`
}

function stateOf(file: string): string {
  return `${file}.kvorum-export`
}
