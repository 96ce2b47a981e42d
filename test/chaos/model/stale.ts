// Reads with a bound of staleness: what one found must have been current at some moment from `staleMs` before its call to its
// return. They have no place in one order of all calls, so each is held against what was known before its bound began, and
// against what had not begun when it returned. Versions only grow, and no value is written twice: that needs no search.
import { type HistoryLine, partsOf } from './format.js'

/** What is wrong, in words. */
export function staleFaults(lines: readonly HistoryLine[]): string[] {
  const byKey = new Map<string, HistoryLine[]>()
  for (const line of lines) {
    const own = byKey.get(line.key)
    if (own === undefined) byKey.set(line.key, [line])
    else own.push(line)
  }
  return [...byKey.values()].flatMap(faultsOfKey)
}

function faultsOfKey(lines: readonly HistoryLine[]): string[] {
  const history = new KeyHistory(lines.filter((line) => !isStale(line)))
  return lines.filter(isStale).flatMap((read) => {
    const fault = history.wrongWith(read)
    if (fault === undefined) return []
    return [`read ${read.id} of ${read.key} by ${read.client}, with a bound of ${read.staleMs} ms, ${fault}`]
  })
}

function isStale({ op, outcome, staleMs = 0 }: HistoryLine): boolean {
  return op === 'get' && outcome === 'ok' && staleMs > 0
}

/** What all other calls for one key say of it. */
class KeyHistory {
  readonly #writes: readonly HistoryLine[]
  /** By the value that it wrote. */
  readonly #writers: ReadonlyMap<string, HistoryLine>
  /** When the key was first known to have a version of at least so much: both grow. */
  readonly #known: readonly { readonly at: number; readonly version: number }[]

  constructor(lines: readonly HistoryLine[]) {
    this.#writes = lines.filter(({ op, outcome }) => op !== 'get' && outcome !== 'not-applied')
    this.#writers = new Map(lines.flatMap((line) => (line.value === undefined ? [] : [[line.value, line]])))
    this.#known = knownVersions(lines)
  }

  wrongWith(read: HistoryLine): string | undefined {
    const begin = read.call - (read.staleMs ?? 0) * 1000
    return read.got == null ? this.#wrongAbsence(read, begin) : this.#wrongValue(read, read.got, begin)
  }

  #wrongValue(read: HistoryLine, got: string, begin: number): string | undefined {
    const { version } = read
    const newest = this.#known.findLast(({ at }) => at < begin)?.version ?? 0
    if (version !== undefined && version < newest) {
      return `found version ${version}: somebody had been told of version ${newest} before`
    }
    const writer = this.#writers.get(partsOf(got).at(-1) ?? '')
    // A value that nobody has written is told of elsewhere.
    if (writer === undefined) return undefined
    if (writer.call > (read.return ?? writer.call)) return `found ${writer.value}, which had not been written yet`
    const later = this.#writes.find(
      (write) => happenedBy(write, begin) && writer.return !== null && write.call > writer.return,
    )
    if (later === undefined || writer.outcome === 'unknown') return undefined
    return `found ${writer.value}: ${later.op} ${later.id} had come after it and was acknowledged before`
  }

  #wrongAbsence(read: HistoryLine, begin: number): string | undefined {
    const there = this.#writes.find(
      (write) => write.op !== 'delete' && happenedBy(write, begin) && !this.#goneAfter(write, read),
    )
    return there && `found nothing: ${there.op} ${there.id} had been acknowledged before, and nobody has deleted it`
  }

  #goneAfter(write: HistoryLine, read: HistoryLine): boolean {
    const { return: end } = read
    const may = (one: HistoryLine) =>
      (one.return === null || one.return >= write.call) && (end === null || one.call <= end)
    return this.#writes.some((one) => one.op === 'delete' && may(one))
  }
}

/** Whether a write had happened, as its caller was told before that moment. */
function happenedBy({ outcome, return: end }: HistoryLine, moment: number): boolean {
  return (outcome === 'ok' || outcome === 'applied') && end !== null && end < moment
}

function knownVersions(lines: readonly HistoryLine[]): { at: number; version: number }[] {
  const told = lines.flatMap(({ outcome, return: at, version = 0 }) => {
    const known = at !== null && version > 0 && (outcome === 'ok' || outcome === 'precondition')
    return known ? [{ at, version }] : []
  })
  let newest = 0
  return told
    .sort((a, b) => a.at - b.at)
    .filter(({ version }) => {
      const news = version > newest
      if (news) newest = version
      return news
    })
}
