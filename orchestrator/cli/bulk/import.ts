import { closeSync, createReadStream, openSync, statSync, writeSync } from 'node:fs'
import { addAbortSignal } from 'node:stream'
import type { KvClient } from '../../client/index.js'
import { type Clock, systemClock } from '../../core/clock.js'
import type { Connection, Context, Form } from '../context.js'
import { interruptibly } from '../interrupt.js'
import { withNearKv } from '../with-kv.js'
import { BulkProgress } from './bulk-progress.js'
import { type FormatName, formatOf, readerOf, STANDARD } from './format.js'
import { ImportPlace } from './import-place.js'
import { type Ending, tellImport } from './import-report.js'
import { RowPutter, rowsOf } from './put-rows.js'
import { type BadLine, readRows } from './read-rows.js'

const CHUNK_BYTES = 1 << 20
const OTHER_FILE = 'what --state and --bad-to name is written, and has to be another file than the one that is imported'

export interface ImportTask {
  readonly file: string
  /** Undefined: the one that its name tells. */
  readonly format: FormatName | undefined
  readonly ifAbsent: boolean
  readonly skipBad: boolean
  /** Where lines that were skipped are told; undefined: on stderr. */
  readonly badTo: string | undefined
  /** Where it is kept how far it is; undefined: beside the input. */
  readonly state: string | undefined
}

/**
 * Puts the rows of a file. Ctrl-C, a failure or a line that is none ends it behind rows that are all acknowledged, and a kill costs
 * nothing but the time of a second: the same command goes on there. Gives the exit code.
 */
export function importRows(
  task: ImportTask,
  { json }: Form,
  connection: Connection,
  context: Context,
  clock: Clock = systemClock,
): Promise<number> {
  const format = formatOf(task.file, task.format)
  const size = task.file === STANDARD ? undefined : sizeOf(task.file)
  if (task.state !== undefined && isSameFile(task.state, task.file)) throw new TypeError(OTHER_FILE)
  if (task.file === STANDARD && context.interrupted !== undefined) throw new TypeError('stdin is what the shell reads')
  return interruptibly(context, (interrupted) =>
    withNearKv(connection, async (client) => {
      const place = await ImportPlace.find(task, { format, size, clusterId: client.clusterId }, clock)
      const { at, done } = place
      const progress = new BulkProgress(context, clock, size, { done: at.offset, rows: rowsOf(done) })
      if (at.offset > 0 && !json) context.warn(`${task.file}: going on behind line ${at.lines}; ${place.anew}\n`)
      const bad = new BadLines(task, () => progress.clear(), context)
      try {
        const ending = await run({ task, format, place, bad, client, interrupted, json, progress })
        progress.clear()
        return tellImport(task.file, ending, { json, seconds: progress.seconds, before: done }, context)
      } finally {
        progress.clear()
        bad.close()
      }
    }),
  )
}

interface Run {
  readonly task: ImportTask
  readonly format: FormatName
  readonly place: ImportPlace
  readonly bad: BadLines
  readonly client: KvClient
  readonly interrupted: AbortSignal
  readonly json: boolean
  readonly progress: BulkProgress
}

async function run({ task, format, place, bad, client, interrupted, json, progress }: Run): Promise<Ending> {
  const reader = readerOf(format, place.columns)
  const skip = task.skipBad ? (line: BadLine) => bad.tell(line) : undefined
  const putter = new RowPutter({ client, ifAbsent: task.ifAbsent, skip, done: place.done })
  let stoppedAt: BadLine | undefined
  const input = openAt(task.file, place.at.offset, interrupted)
  try {
    for await (const batch of readRows(input, reader, place.beginning)) {
      if (batch.bad !== undefined && skip === undefined) {
        stoppedAt = batch.bad
        break
      }
      if (batch.bad !== undefined) bad.tell(batch.bad)
      await putter.add(batch)
      if (putter.failure !== undefined || interrupted.aborted) break
      place.keep(putter, reader.columns, 'in time')
      if (!json) progress.show(putter.reached?.end.offset ?? place.at.offset, rowsOf(putter.done))
    }
  } catch (error) {
    // What was being read when it was interrupted.
    if (!interrupted.aborted) throw readable(task.file, error)
  } finally {
    await putter.settle()
    place.keep(putter, reader.columns, 'now')
  }
  const { done, failure } = putter
  const lines = putter.reached?.end.lines ?? place.at.lines
  const complete = stoppedAt === undefined && failure === undefined && !interrupted.aborted
  if (complete) place.remove()
  return { done, lines, failure, stoppedAt, complete }
}

/** Throws a TypeError for what is no file: nothing could go on in the middle of it. */
function sizeOf(file: string): number {
  try {
    const found = statSync(file)
    if (found.isFile()) return found.size
  } catch (error) {
    throw readable(file, error)
  }
  throw new TypeError(`${file} is no file; what comes from elsewhere can be given on stdin, as -`)
}

/** What is added to its own input is read again, for ever. */
function isSameFile(one: string, other: string): boolean {
  const [here, there] = [one, other].map((path) => statSync(path, { bigint: true, throwIfNoEntry: false }))
  return here !== undefined && there !== undefined && here.ino === there.ino && here.dev === there.dev
}

function openAt(file: string, offset: number, interrupted: AbortSignal): AsyncIterable<Buffer> {
  if (file === STANDARD) return addAbortSignal(interrupted, process.stdin)
  return createReadStream(file, { start: offset, highWaterMark: CHUNK_BYTES, signal: interrupted })
}

function readable(file: string, error: unknown): unknown {
  const { code, message } = error as NodeJS.ErrnoException
  return code === undefined ? error : new TypeError(`${file} cannot be read: ${message}`, { cause: error })
}

/** Tells lines that were skipped, so that they can be mended and imported. */
class BadLines {
  readonly #file: number | undefined

  constructor(
    { file, skipBad, badTo }: ImportTask,
    private readonly before: () => void,
    private readonly context: Pick<Context, 'warn'>,
  ) {
    if (badTo !== undefined && isSameFile(badTo, file)) throw new TypeError(OTHER_FILE)
    if (badTo !== undefined && !skipBad) throw new TypeError('--bad-to says where lines are told that --skip-bad skips')
    this.#file = badTo === undefined ? undefined : openSync(badTo, 'a')
  }

  tell({ line, why, text }: BadLine): void {
    if (this.#file !== undefined) {
      writeSync(this.#file, `${JSON.stringify({ line, why, text })}\n`)
      return
    }
    this.before()
    this.context.warn(`kvorum: line ${line} was skipped: ${why}\n`)
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file)
  }
}
