// A run in words and figures.
import Table from 'cli-table3'
import type { RunResult } from '../run/result.js'
import { CALM, type Quantiles, type Service, serviceOf } from '../service/gaps.js'

interface Goal {
  readonly medianMs: number
  readonly p99Ms?: number
}

/** What the promise is, ms: the time without service after one fault. */
const GOALS: Readonly<Record<string, Goal>> = {
  'kill-leader': { medianMs: 60, p99Ms: 1_000 },
  'pause-leader': { medianMs: 800, p99Ms: 2_000 },
  'partition-leader': { medianMs: 800, p99Ms: 2_000 },
  transfer: { medianMs: 30 },
}
/** Of these nobody should notice more than of nothing. */
const UNNOTICED: readonly string[] = ['kill-follower', 'pause-follower']

/** The goal of a kind of fault, and whether the direct clients saw it met; undefined where there is none, or no figure. */
export function goalOf(
  { kind, direct }: Service,
  all: readonly Service[],
): { readonly words: string; readonly met: boolean } | undefined {
  const calm = all.find((one) => one.kind === CALM)?.direct
  const { medianMs, p99Ms } = UNNOTICED.includes(kind) ? (calm ?? {}) : (GOALS[kind] ?? {})
  if (medianMs === undefined || direct.medianMs === undefined || direct.p99Ms === undefined) return undefined
  const met = direct.medianMs <= medianMs && (p99Ms === undefined || direct.p99Ms <= p99Ms)
  const words = [medianMs, p99Ms].flatMap((ms) => (ms === undefined ? [] : [ms.toFixed(0)])).join(' / ')
  return { words, met }
}

export interface Summary {
  readonly text: string
  /** For programs: stable. */
  readonly json: object
}

export function summaryOf(result: RunResult): Summary {
  const { seed, shape, kinds, versions, seconds, rounds, counts, violations, faults, skipped, backMsMax } = result
  const service = serviceOf(result.gaps)
  const verdict = verdictOf(result)
  const text = [
    serviceTable(service),
    `${rounds} rounds, ${seconds.toFixed(0)} s, seed ${seed}: ${faults} faults (${skipped} could not begin), back after at ` +
      `most ${(backMsMax / 1000).toFixed(1)} s`,
    `${counts.operations} operations on ${counts.keys} keys: ${counts.acknowledged} writes acknowledged, ` +
      `${counts.reads} reads, ${counts.refused} refused, ${counts.unknown} unknown; ${counts.undecided} keys not decided`,
    ...violations.map(({ kind, what }) => `${kind}: ${what}`),
    verdict,
  ].join('\n')
  const figures = { rounds, seconds, faults, skipped, backMsMax, counts, service, violations }
  return { text, json: { seed, shape, kinds, versions, verdict, interrupted: result.interrupted, ...figures } }
}

export function verdictOf({ violations, counts, interrupted }: RunResult): string {
  if (violations.length > 0) return `${violations.length} VIOLATIONS`
  const doubts = counts.undecided > 0 ? `, ${counts.undecided} keys not decided` : ''
  return `no violation${doubts}${interrupted ? ' until it was interrupted' : ''}`
}

/** What `rowOf` gives after the kind of fault. */
export const COLUMNS = ['faults', 'alone', 'direct p50 ms', 'p99', 'gateway p50 ms', 'p99', 'with others, max'] as const

function serviceTable(service: readonly Service[]): string {
  const table = new Table({
    head: ['time without service', ...COLUMNS, GOAL],
    colAligns: ['left', ...COLUMNS.map(() => 'right' as const), 'right'],
    style: { head: [], border: [] },
  })
  for (const one of service) table.push([...rowOf(one), goalWords(one, service)])
  return table.toString()
}

export const GOAL = 'goal of direct'

/** "60 / 1000: met" */
export function goalWords(one: Service, all: readonly Service[]): string {
  const goal = goalOf(one, all)
  return goal === undefined ? '' : `${goal.words}: ${goal.met ? 'met' : 'missed'}`
}

/** The cells of one line, in the order of every table of it. */
export function rowOf({ kind, faults, alone, direct, gateway, composedMsMax }: Service): string[] {
  const ms = (value: number | undefined): string => (value === undefined ? '' : value.toFixed(0))
  const both = ({ medianMs, p99Ms }: Quantiles): string[] => [ms(medianMs), ms(p99Ms)]
  const name = kind === CALM ? `(${CALM}, for comparison)` : kind
  return [name, String(faults), String(alone), ...both(direct), ...both(gateway), ms(composedMsMax)]
}
