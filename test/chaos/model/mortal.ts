// Keys that live for a time must not be gone before it. That nothing comes back is the checker's to see; this one knows times.
import type { HistoryLine } from './format.js'

/** Of one clock, two readings of which may be rounded apart; and times to live are whole ms. */
const ROUNDED_US = 1000

/**
 * Reads that found nothing although some write had the key live on, in words. Only where the order of the writes is beyond
 * doubt: every other one had ended before that write began, or began after the read had ended.
 */
export function mortalFaults(lines: readonly HistoryLine[]): string[] {
  const byKey = new Map<string, HistoryLine[]>()
  for (const line of lines) {
    const own = byKey.get(line.key)
    if (own === undefined) byKey.set(line.key, [line])
    else own.push(line)
  }
  return [...byKey.values()].filter((own) => own.some(({ ttlMs }) => ttlMs !== undefined)).flatMap(faultsOf)
}

function faultsOf(lines: readonly HistoryLine[]): string[] {
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
