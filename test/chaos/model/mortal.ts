// Keys that live for a time must not be gone before it, nor be there for long after it. That nothing comes back is the checker's to
// see; this one knows times.
import { type HistoryLine, partsOf } from './format.js'

/** Of one clock, two readings of which may be rounded apart; and times to live are whole ms. */
const ROUNDED_US = 1000

/**
 * Reads that found nothing although some write had the key live on, in words. Only where the order of the writes is beyond
 * doubt: every other one had ended before that write began, or began after the read had ended.
 */
export function mortalFaults(lines: readonly HistoryLine[]): string[] {
  return mortalKeys(lines).flatMap(earlyFaults)
}

/**
 * Reads that found a value later than `lateMs` after the latest end of its time that any put or touch can have given it, in words. The
 * time in which a shard has no leader does not count for its keys: the bound has to have room for that.
 */
export function lateFaults(lines: readonly HistoryLine[], lateMs: number): string[] {
  return mortalKeys(lines).flatMap((own) => {
    return own.flatMap((read) => {
      const due = dueOf(read, own)
      if (due === undefined || read.call <= due + lateMs * 1000) return []
      const ago = Math.round((read.call - due) / 1000)
      return [`read ${read.id} of ${read.key} by ${read.client} found what was due ${ago} ms before`]
    })
  })
}

/** Until when the value that a read has found may live at most; undefined: nobody knows, or for ever. */
function dueOf(read: HistoryLine, own: readonly HistoryLine[]): number | undefined {
  const [first] = partsOf(read.got ?? '')
  const put = first === undefined ? undefined : own.find(({ value }) => value === first)
  if (put?.op !== 'put' || read.op !== 'get' || (read.staleMs ?? 0) > 0) return undefined
  const touches = own.filter(
    (one) => one.op === 'touch' && mayHaveWritten(one) && endOf(one) > put.call && one.call < endOf(read),
  )
  const ends = [put, ...touches].map((one) =>
    one.ttlMs === undefined ? Number.POSITIVE_INFINITY : endOf(one) + one.ttlMs * 1000,
  )
  const due = Math.max(...ends)
  return Number.isFinite(due) ? due : undefined
}

/** The calls of each key that was ever given a time to live. */
function mortalKeys(lines: readonly HistoryLine[]): HistoryLine[][] {
  const byKey = new Map<string, HistoryLine[]>()
  for (const line of lines) {
    const own = byKey.get(line.key)
    if (own === undefined) byKey.set(line.key, [line])
    else own.push(line)
  }
  return [...byKey.values()].filter((own) => own.some(({ ttlMs }) => ttlMs !== undefined))
}

function earlyFaults(lines: readonly HistoryLine[]): string[] {
  const writes = lines.filter(mayHaveWritten)
  return lines.filter(foundNothing).flatMap((read) => {
    const before = writes.filter(({ call }) => call < endOf(read))
    const last = before.reduce<HistoryLine | undefined>(
      (latest, one) => (latest === undefined || one.call > latest.call ? one : latest),
      undefined,
    )
    if (last === undefined || !hasItLive(last) || endOf(last) >= read.call) return []
    if (before.some((one) => one !== last && endOf(one) >= last.call)) return []
    const until = last.ttlMs === undefined ? Number.POSITIVE_INFINITY : last.call + last.ttlMs * 1000 - ROUNDED_US
    if (endOf(read) >= until) return []
    const early = Number.isFinite(until) ? `${Math.ceil((until - endOf(read)) / 1000)} ms too early` : 'for no reason'
    return [`read ${read.id} of ${read.key} by ${read.client} found nothing: gone ${early} after ${last.op} ${last.id}`]
  })
}

function foundNothing({ op, outcome, got, staleMs = 0 }: HistoryLine): boolean {
  return op === 'get' && outcome === 'ok' && got === null && staleMs === 0
}

function mayHaveWritten({ op, outcome }: HistoryLine): boolean {
  return op !== 'get' && outcome !== 'not-applied' && outcome !== 'precondition'
}

/** Whether the key was there after it, for as long as it says: an append leaves the time that there was. */
function hasItLive({ op, outcome, existed }: HistoryLine): boolean {
  return outcome === 'ok' && (op === 'put' || op === 'compare-and-set' || (op === 'touch' && existed === true))
}

function endOf({ return: end }: HistoryLine): number {
  return end ?? Number.POSITIVE_INFINITY
}
