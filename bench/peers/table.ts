// The figures as people read them.
import Table from 'cli-table3'
import { type Contender, OURS_1X3, OURS_3X3 } from './contenders.js'
import type { Judged } from './goals.js'
import { medianFigures, medianRatio, type Run } from './results.js'

const PLAIN = { head: [], border: [] }
const NOTE_WIDTH = 50

const HEAD = [
  'contender',
  'ops/s',
  'p50 ms',
  'p99 ms',
  'client CPU us/op',
  'servers CPU us/op',
  // The median of the runs' ratios: our rate divided by the rate of the row's contender.
  '3x3 direct / it',
  '1x3 direct / it',
  'note',
]

/** One case: a row for each contender that was measured. */
export function caseTable(name: string, contenders: readonly Contender[], runs: readonly Run[]): string {
  const table = new Table({
    head: HEAD,
    colAligns: HEAD.map((_, at) => (at === 0 || at === HEAD.length - 1 ? 'left' : 'right')),
    colWidths: HEAD.map((_, at) => (at === HEAD.length - 1 ? NOTE_WIDTH : null)),
    wordWrap: true,
    style: PLAIN,
  })
  for (const { name: contender, note } of contenders) {
    const figures = medianFigures(runs, contender, name)
    if (figures === undefined) continue
    const { operationsPerSecond, p50Ms, p99Ms, clientCpuUs, serversCpuUs, errors } = figures
    const ratios = [OURS_3X3, OURS_1X3].map((of) =>
      medianRatio(runs, { case: name, measure: 'operationsPerSecond', of, by: contender }),
    )
    const numbers = [p50Ms, p99Ms, clientCpuUs, serversCpuUs, ...ratios].map(shown)
    const notes = [errors > 0 ? `${errors} operations failed` : '', note].filter((one) => one !== '')
    table.push([contender, whole(operationsPerSecond), ...numbers, notes.join('; ')])
  }
  return `${name}\n${table.toString()}`
}

export function goalTable(judged: readonly Judged[]): string {
  const table = new Table({
    head: ['case', 'goal', 'measured', ''],
    colAligns: ['left', 'left', 'right', 'left'],
    style: PLAIN,
  })
  for (const { case: name, goal, measured, met } of judged) {
    table.push([name, goal, `${shown(measured)} x`, met ? 'met' : 'MISSED'])
  }
  return table.toString()
}

function whole(value: number): string {
  return Math.round(value).toLocaleString('en')
}

function shown(value: number | undefined): string {
  if (value === undefined) return ''
  return value >= 100 ? whole(value) : value.toFixed(2)
}
