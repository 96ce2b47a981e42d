// Exactly once: what was appended to a key that is only ever appended to, held against the value in the end.
import { END, type HistoryLine, partsOf } from './format.js'

/** What is wrong, in words. `lines` are all calls for one key, `last` is what a read after all of them found. */
export function appendFaults(lines: readonly HistoryLine[], last: string | null): string[] {
  const appends = new Map(lines.filter(({ op }) => op === 'append').map((line) => [line.value ?? '', line]))
  const parts = partsOf(last ?? '')
  const faults = [...countFaults(appends, parts), ...placeFaults(appends, parts), ...orderFaults(appends, parts)]
  if (last !== null && !last.endsWith(END)) faults.push('the value ends in the middle of an append')
  for (const { op, outcome, got, id } of lines) {
    if (op !== 'get' || outcome !== 'ok' || (last ?? '').startsWith(got ?? '')) continue
    faults.push(`read ${id} saw what is no beginning of the last value`)
  }
  return faults
}

/** Acknowledged: once. Unknown: at most once. Refused, or never made: not at all. */
function countFaults(appends: ReadonlyMap<string, HistoryLine>, parts: readonly string[]): string[] {
  const counts = new Map<string, number>()
  for (const part of parts) counts.set(part, (counts.get(part) ?? 0) + 1)
  const faults: string[] = []
  for (const [part, count] of counts) {
    const line = appends.get(part)
    if (line === undefined) faults.push(`${part} was never appended to this key`)
    else if (line.outcome === 'not-applied') faults.push(`${part} is there, and was reported as not applied`)
    else if (count > 1) faults.push(`${part} is there ${count} times`)
  }
  for (const [part, { outcome }] of appends) {
    const promised = outcome === 'ok' || outcome === 'applied'
    if (promised && !counts.has(part)) faults.push(`${part} was acknowledged and is lost`)
  }
  return faults
}

/** An answer says how long the value was then, and so where the append is. */
function placeFaults(appends: ReadonlyMap<string, HistoryLine>, parts: readonly string[]): string[] {
  const faults: string[] = []
  let end = 0
  for (const part of parts) {
    end += Buffer.byteLength(part)
    const length = appends.get(part)?.length
    if (length !== undefined && length !== end)
      faults.push(`${part} ends at ${end} and was reported to end at ${length}`)
  }
  return faults
}

/** Who was answered before another one was called stands before it. */
function orderFaults(appends: ReadonlyMap<string, HistoryLine>, parts: readonly string[]): string[] {
  const faults: string[] = []
  let latest: HistoryLine | undefined
  for (const part of parts) {
    const line = appends.get(part)
    if (line === undefined) continue
    const { return: end } = line
    if (latest !== undefined && end !== null && end < latest.call) {
      faults.push(`${part} stands behind ${latest.value}, which was begun after it had been answered`)
    }
    if (latest === undefined || line.call > latest.call) latest = line
  }
  return faults
}
