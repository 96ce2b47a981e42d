// What watchers must have seen: every change of a key once, in the order of its versions, and nothing that nobody wrote. Versions count
// the writes of a key up by one, so a gap and a double show by themselves.
import { type HistoryLine, partsOf } from './format.js'

/** A change as a watcher was told it. */
export interface Seen {
  readonly type: 'put' | 'delete'
  readonly value: string
  readonly version: number
}

/** What a watcher has seen of each key, in its order. The keys were new when it began. */
export type SeenByKey = ReadonlyMap<string, readonly Seen[]>

export function watchFaults(lines: readonly HistoryLine[], seen: SeenByKey): string[] {
  const byKey = new Map<string, HistoryLine[]>()
  for (const line of lines) byKey.set(line.key, [...(byKey.get(line.key) ?? []), line])
  const keys = new Set([...byKey.keys(), ...seen.keys()])
  return [...keys].flatMap((key) => {
    const events = seen.get(key) ?? []
    const own = byKey.get(key) ?? []
    return [...orderFaults(events), ...unseen(own, events), ...invented(own, events)].map((fault) => `${key}: ${fault}`)
  })
}

function orderFaults(events: readonly Seen[]): string[] {
  return events.flatMap((event, at) => {
    const before = events[at - 1]
    const follows =
      event.type === 'delete'
        ? before?.type === 'put' && before.version === event.version
        : before === undefined ||
          (before.type === 'put' ? event.version === before.version + 1 : event.version > before.version)
    return follows ? [] : [`${wordsOf(event)} after ${before === undefined ? 'nothing' : wordsOf(before)}`]
  })
}

/** What was acknowledged and nobody was told of. */
function unseen(lines: readonly HistoryLine[], events: readonly Seen[]): string[] {
  const puts = new Map(events.filter(({ type }) => type === 'put').map((event) => [event.version, event]))
  const writes = lines.filter(
    ({ op, outcome }) => op !== 'get' && op !== 'delete' && (outcome === 'ok' || outcome === 'applied'),
  )
  const missing = writes.flatMap(({ id, op, version, value }) => {
    const event = version === undefined ? undefined : puts.get(version)
    if (event === undefined) return version === undefined ? [] : [`${op} ${id}, version ${version}: not seen`]
    const differs = (op === 'put' || op === 'compare-and-set') && event.value !== value
    return differs ? [`${op} ${id}, version ${version}: seen as ${event.value} instead of ${value}`] : []
  })
  const deletes = lines.filter(
    ({ op, existed, outcome }) => op === 'delete' && outcome === 'ok' && existed === true,
  ).length
  const told = events.filter(({ type }) => type === 'delete').length
  return told < deletes ? [...missing, `${deletes} deletes, ${told} seen`] : missing
}

/** Values that were refused, or that nobody ever wrote. */
function invented(lines: readonly HistoryLine[], events: readonly Seen[]): string[] {
  if (lines.some(({ op }) => op === 'increment')) return []
  const written = new Set(
    lines.filter(({ outcome }) => outcome !== 'not-applied' && outcome !== 'precondition').map(({ value }) => value),
  )
  return events
    .filter(({ type, value }) => type === 'put' && partsOf(value).some((part) => !written.has(part)))
    .map((event) => `${wordsOf(event)}: nobody wrote that`)
}

function wordsOf({ type, version, value }: Seen): string {
  return type === 'put' ? `version ${version} (${value})` : `the delete of version ${version}`
}
