import type { Hit, KvClient, RangeChoice, ScannedKey } from '../../client/index.js'
import { type Clock, systemClock } from '../../core/clock.js'
import type { Connection, Context, Form } from '../context.js'
import { EXIT } from '../exit-codes.js'
import { interruptibly } from '../interrupt.js'
import { spanOf } from '../operation-view.js'
import { withNearKv } from '../with-kv.js'
import { counted } from '../words.js'
import { BulkProgress, rateOf } from './bulk-progress.js'
import { PartFile, type Place, StandardOut, type Target } from './export-target.js'
import { type FormatName, formatOf, STANDARD, writerOf } from './format.js'
import type { Extras, ReadRow } from './row.js'

export interface ExportTask {
  readonly file: string
  /** Undefined: the one that its name tells. */
  readonly format: FormatName | undefined
  readonly range: RangeChoice
  readonly extras: Extras
}

/** Written at once. */
const CHUNK_CHARACTERS = 256 << 10
/** Values that are read beside each other, at most 8 MiB each. */
const READS_MAX = 64

/**
 * Writes the rows of a range to a file, in the order of their keys. The file is there when it is whole; until then its beginning is
 * kept beside it, and the same command goes on with that. Gives the exit code.
 */
export function exportRows(
  task: ExportTask,
  { json }: Form,
  connection: Connection,
  context: Context,
  clock: Clock = systemClock,
): Promise<number> {
  const format = formatOf(task.file, task.format)
  const { range, extras } = task
  return interruptibly(context, (interrupted) =>
    withNearKv(connection, async (client) => {
      const what = { clusterId: client.clusterId, format, range, extras }
      const target = task.file === STANDARD ? new StandardOut() : await PartFile.open(task.file, what, clock)
      try {
        const before = target.place
        if (before.cursor !== undefined && !json)
          context.warn(
            `${task.file}: going on behind ${counted(before.rows, 'row')}${ageOf(target, clock)}; ${target.anew}\n`,
          )
        // Only for the bar: who cannot count may still read.
        const total = await client.count(range).catch(() => undefined)
        const progress = new BulkProgress(context, clock, total, { done: before.rows, rows: before.rows })
        const show = (rows: number) => (json ? undefined : progress.show(rows, rows))
        try {
          await copy(client, { ...task, format }, target, interrupted, show)
        } finally {
          progress.clear()
        }
        const { rows } = target.place
        if (interrupted.aborted) return interruptedAt(rows, task.file, json, context)
        await target.finish()
        const { seconds } = progress
        const told = json
          ? JSON.stringify({ ok: true, rows, seconds: Math.round(seconds * 1_000) / 1_000 })
          : `exported ${counted(rows, 'row')} in ${seconds.toFixed(1)} s (${rateOf(rows - before.rows, seconds)})`
        // On stdout there are the rows.
        if (task.file === STANDARD) context.warn(`${told}\n`)
        else context.out(`${told}\n`)
        return EXIT.ok
      } finally {
        await target.close()
      }
    }),
  )
}

/** What is gone on with may be of another day: keys that have changed since are in it as they were then. */
function ageOf({ begunAt }: Target, clock: Clock): string {
  return begunAt === undefined ? '' : ` of an export that was begun ${spanOf(clock.now() - begunAt)} ago`
}

function interruptedAt(rows: number, file: string, json: boolean, { out, warn }: Context): number {
  if (json && file !== STANDARD) out(`${JSON.stringify({ ok: false, rows })}\n`)
  const [were, them] = rows === 1 ? ['was', 'it'] : ['were', 'them']
  const goOn = file === STANDARD ? '' : `, and the same command goes on behind ${them}`
  warn(`kvorum: interrupted; ${counted(rows, 'row')} ${were} written${goOn}\n`)
  return EXIT.failed
}

/** Rejects with a KvError when the rows cannot be read; the target then has what came before. */
async function copy(
  client: KvClient,
  { range, format, extras }: ExportTask & { readonly format: FormatName },
  target: Target,
  interrupted: AbortSignal,
  show: (rows: number) => void,
): Promise<void> {
  const writer = writerOf(format, extras)
  const { cursor } = target.place
  let { rows }: Place = target.place
  let last: Row | undefined
  let text = cursor === undefined ? writer.head : ''
  const flush = async () => {
    await target.write(text, { rows, cursor: last?.cursor ?? cursor })
    text = ''
    show(rows)
  }
  const chosen = { ...range, cursor, signal: interrupted }
  const read: AsyncIterable<Row> = extras.ttls
    ? withTimes(client, client.scan({ ...chosen, keysOnly: true }))
    : client.scan(chosen)
  try {
    for await (const row of read) {
      text += writer.write(row)
      rows++
      last = row
      if (text.length >= CHUNK_CHARACTERS) await flush()
    }
  } catch (error) {
    if (!interrupted.aborted) throw error
  } finally {
    await flush()
  }
}

interface Row extends ReadRow {
  /** For what comes behind it. */
  readonly cursor: string
}

/** What a scan does not tell comes from a get of each key: value, version and time of one moment. Keys that are gone by then are left out. */
async function* withTimes(client: KvClient, keys: AsyncIterable<ScannedKey>): AsyncGenerator<Row> {
  const asked: { readonly from: ScannedKey; readonly hit: Promise<Hit | null> }[] = []
  const next = async function* () {
    const { from, hit } = asked.shift() as (typeof asked)[number]
    const found = await hit
    if (found === null) return
    const { value, version } = found
    // One that is due is about to be deleted. An import takes no time of 0, and without one the key would stay.
    const ttlMs = found.ttlMs === undefined ? undefined : Math.max(1, found.ttlMs)
    yield { key: from.key, cursor: from.cursor, value, version, ttlMs }
  }
  for await (const from of keys) {
    const hit = client.get(from.key)
    // Whoever comes to it hears of it.
    hit.catch(() => {})
    asked.push({ from, hit })
    if (asked.length >= READS_MAX) yield* next()
  }
  while (asked.length > 0) yield* next()
}
