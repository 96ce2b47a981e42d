import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import type { Clock } from '../../core/clock.js'
import { counted } from '../words.js'
import type { FormatName } from './format.js'
import type { ImportTask } from './import.js'
import type { Done, RowPutter } from './put-rows.js'
import { type Batch, type Beginning, fromStart, type Position } from './read-rows.js'
import { readState, removeState, writeState } from './state-file.js'

/** What a kill may cost, and an fsync is worth. */
const KEEP_EVERY_MS = 1_000

/** The state file: all rows before `at` are acknowledged, in that cluster; and how the bytes before it hash. */
interface Kept {
  readonly format: 1
  readonly clusterId: string
  readonly rows: FormatName
  readonly columns: readonly string[] | undefined
  readonly at: Position
  readonly sha256: string
  readonly done: Done
}

export interface Whereabouts {
  readonly format: FormatName
  /** Undefined: it is no file, and nothing is kept. */
  readonly size: number | undefined
  readonly clusterId: string
}

/** Where an import is, beside its input: it goes on in the same cluster only, and behind the bytes that it has read only. */
export class ImportPlace {
  #kept: Batch | undefined
  #keptAt: number

  private constructor(
    private readonly path: string | undefined,
    private readonly where: Whereabouts,
    private readonly clock: Clock,
    readonly beginning: Beginning,
    readonly columns: readonly string[] | undefined,
    readonly done: Done,
  ) {
    this.#keptAt = clock.monotonic()
  }

  /** Throws a TypeError when what was kept is of something else: rows would be left out, and nobody would see it. */
  static async find(task: ImportTask, where: Whereabouts, clock: Clock): Promise<ImportPlace> {
    const path = where.size === undefined ? undefined : (task.state ?? `${task.file}.kvorum-import`)
    const kept = path === undefined ? undefined : readState<Kept>(path)
    const none = { put: 0, present: 0, skipped: 0 }
    if (kept === undefined) return new ImportPlace(path, where, clock, fromStart(), undefined, none)
    const other = otherThan(kept, where) ?? (await changedSince(task.file, kept))
    if (typeof other !== 'string') return new ImportPlace(path, where, clock, other, kept.columns, kept.done)
    throw new TypeError(
      `${path} says that ${counted(kept.at.lines, 'line')} ${kept.at.lines === 1 ? 'was' : 'were'} imported ${other}; remove it to import from the beginning`,
    )
  }

  /** What a person does who does not want that it goes on. */
  get anew(): string {
    return `remove ${this.path} to begin anew`
  }

  get at(): Position {
    return this.beginning.at
  }

  /** Writes down what is acknowledged, if that is new; `in time`: not again and again. */
  keep({ reached, done }: RowPutter, columns: readonly string[] | undefined, when: 'now' | 'in time'): void {
    if (this.path === undefined || reached === undefined || reached === this.#kept) return
    const now = this.clock.monotonic()
    if (when === 'in time' && now - this.#keptAt < KEEP_EVERY_MS) return
    const { format: rows, clusterId } = this.where
    const sha256 = reached.hash.copy().digest('hex')
    const kept: Kept = { format: 1, clusterId, rows, columns, at: reached.end, sha256, done }
    writeState(this.path, kept)
    this.#kept = reached
    this.#keptAt = now
  }

  remove(): void {
    if (this.path !== undefined) removeState(this.path)
  }
}

function otherThan(kept: Kept, { format, size = 0, clusterId }: Whereabouts): string | undefined {
  if (kept.clusterId !== clusterId) return 'into another cluster'
  if (kept.rows !== format) return `as ${kept.rows}`
  return size < kept.at.offset ? 'of a longer file' : undefined
}

/** What was read must be what is there; what comes behind it may have been mended. */
async function changedSince(file: string, { at, sha256 }: Kept): Promise<Beginning | string> {
  const hash = createHash('sha256')
  if (at.offset > 0)
    for await (const chunk of createReadStream(file, { end: at.offset - 1 })) hash.update(chunk as Buffer)
  return hash.copy().digest('hex') === sha256 ? { at, hash } : 'of a file that began otherwise'
}
