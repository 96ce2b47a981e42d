// Everything that is checked when a round is over.
import { join } from 'node:path'
import { checkHistory, type Finding } from '../check/run-check.js'
import { appendFaults } from '../model/appends.js'
import { balanceFaults } from '../model/balances.js'
import type { HistoryLine } from '../model/format.js'
import { lateFaults, mortalFaults } from '../model/mortal.js'
import { staleFaults } from '../model/stale.js'
import { truthFaults } from '../model/truth.js'
import type { HotKey } from '../traffic/hot-keys.js'
import type { Counts, Violation } from './result.js'

/** A history that is wrong everywhere needs no more words than this. */
const SAID_MAX = 20

export interface Judgement {
  readonly violations: readonly Violation[]
  readonly counts: Counts
}

export interface Judged {
  readonly lines: readonly HistoryLine[]
  readonly keys: readonly HotKey[]
  /** Holds the history, and takes the pictures. */
  readonly folder: string
  readonly perKeyMs: number
  /** How late a key may be gone after its time, ms. Undefined: whatever was broken may have held it up. */
  readonly lateMs?: number
  readonly signal: AbortSignal
}

export const HISTORY = 'history.jsonl'

export async function judge({ lines, keys, folder, perKeyMs, lateMs, signal }: Judged): Promise<Judgement> {
  const findings = await checkHistory(join(folder, HISTORY), { pictures: folder, perKeyMs, signal })
  const violations = [
    ...said('not true', truthFaults(lines)),
    ...said('not atomic', balanceFaults(lines)),
    ...said('too stale', staleFaults(lines)),
    ...said('not for its time', mortalFaults(lines)),
    ...said('not for its time', lateMs === undefined ? [] : lateFaults(lines, lateMs)),
    ...said('not exactly once', onceFaults(lines, keys)),
    ...said('not linearizable', findings.flatMap(wordsOf)),
  ]
  return { violations, counts: countsOf(lines, findings) }
}

function onceFaults(lines: readonly HistoryLine[], keys: readonly HotKey[]): string[] {
  const byKey = new Map(keys.filter(({ use }) => use === 'append').map(({ name }) => [name, [] as HistoryLine[]]))
  for (const line of lines) byKey.get(line.key)?.push(line)
  return [...byKey].flatMap(([name, own]) => {
    const isLast = ({ op, outcome, staleMs = 0 }: HistoryLine) => op === 'get' && outcome === 'ok' && staleMs === 0
    const last = own.findLast(isLast)
    // Without a last read something else is wrong, and is told.
    return last === undefined ? [] : appendFaults(own, last.got ?? null).map((fault) => `${name}: ${fault}`)
  })
}

function wordsOf({ key, verdict, operations, picture }: Finding): string[] {
  return verdict === 'violation'
    ? [`${key}: no order of its ${operations} operations explains them; see ${picture}`]
    : []
}

function said(kind: Violation['kind'], faults: readonly string[]): Violation[] {
  const left = faults.length - SAID_MAX
  const more = left > 0 ? [{ kind, what: `and ${left} more` }] : []
  return [...faults.slice(0, SAID_MAX).map((what) => ({ kind, what })), ...more]
}

function countsOf(lines: readonly HistoryLine[], findings: readonly Finding[]): Counts {
  const count = (good: (line: HistoryLine) => boolean): number => lines.filter(good).length
  return {
    operations: lines.length,
    reads: count(({ op, outcome }) => op === 'get' && outcome === 'ok'),
    acknowledged: count(({ op, outcome }) => op !== 'get' && outcome === 'ok'),
    refused: count(({ op, outcome }) => op !== 'get' && (outcome === 'not-applied' || outcome === 'precondition')),
    unknown: count(({ op, outcome }) => op !== 'get' && outcome === 'unknown'),
    keys: findings.length,
    undecided: findings.filter(({ verdict }) => verdict === 'not decided').length,
  }
}
