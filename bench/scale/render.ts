// What was measured, for people: a table and a chart of each sweep.
import Table from 'cli-table3'
import { lineChart } from '../chart/lines.js'
import { PLAIN_TABLE, shown } from '../load/figures.js'
import type { Measured } from './measure.js'
import { VERBS } from './protocol.js'
import type { Sweep } from './sweeps.js'

const COLUMNS: readonly (readonly [head: string, figure: string])[] = [
  ['ops/s', 'ops/s'],
  ['p50 ms', 'p50 ms'],
  ['p99 ms', 'p99 ms'],
  ['client us/op', 'client CPU us/op'],
  ['nodes us/op', 'nodes CPU us/op'],
  ['client cores', 'client cores'],
  ['nodes cores', 'nodes cores'],
  ['data MiB', 'data MiB'],
  ['node MiB', 'largest node RSS MiB'],
  ['errors', 'errors'],
]

/** No lines between rows: there are many. */
const TIGHT = { mid: '', 'left-mid': '', 'mid-mid': '', 'right-mid': '' }

export function tableOf(sweep: Sweep, measured: readonly Measured[]): string {
  const head = [sweep.name, '', ...COLUMNS.map(([name]) => name)]
  const colAligns = head.map((_, i) => (i === 1 ? ('left' as const) : ('right' as const)))
  const table = new Table({ head, colAligns, style: PLAIN_TABLE, chars: TIGHT })
  for (const { point, verb, median } of measured) {
    const cells = COLUMNS.map(([, figure]) => cellOf(median[figure] ?? Number.NaN))
    table.push([sweep.shown(sweep.x(point)), verb, ...cells])
  }
  return table.toString()
}

function cellOf(value: number): string {
  return value === 0 ? '0' : shown(value)
}

export function chartOf(sweep: Sweep, measured: readonly Measured[]): string {
  const points = (verb: string, figure: string): [number, number][] =>
    measured
      .filter((one) => one.verb === verb)
      .map(({ point, median }) => [sweep.x(point), median[figure] ?? Number.NaN])
  return lineChart({
    title: `Operations/s and p99 by ${sweep.axis}`,
    x: { label: sweep.axis, logarithmic: true, shown: sweep.shown },
    y: { label: 'operations/s', logarithmic: sweep.logarithmic },
    y2: { label: 'p99, ms', logarithmic: true },
    series: [
      ...VERBS.map((verb) => ({ name: `${verb}s/s`, points: points(verb, 'ops/s') })),
      ...VERBS.map((verb) => ({ name: `p99 of a ${verb}`, axis: 'y2' as const, points: points(verb, 'p99 ms') })),
    ],
  })
}
