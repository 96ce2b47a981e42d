import Table from 'cli-table3'
import { lineChart } from '../chart/lines.js'
import { PLAIN_TABLE, shown } from '../load/figures.js'
import type { Phase, PhaseFigures } from './phases.js'
import type { Interval } from './protocol.js'

export function tableOf(figures: readonly PhaseFigures[]): string {
  const head = ['', 's', 'ops/s', 'of before', 'p99 ms', 'worst ms', 'errors']
  const colAligns = head.map((_, at) => (at === 0 ? ('left' as const) : ('right' as const)))
  const table = new Table({ head, colAligns, style: PLAIN_TABLE })
  const before = figures[0]?.perSecond ?? Number.NaN
  for (const { name, seconds, perSecond, p99Ms, maxMs, errors } of figures) {
    const share = `${Math.round((100 * perSecond) / before)} %`
    table.push([name, seconds.toFixed(1), shown(perSecond), share, shown(p99Ms), shown(maxMs), String(errors)])
  }
  return table.toString()
}

export function chartOf(intervals: readonly Interval[], phases: readonly Phase[], everyMs: number): string {
  const zero = intervals[0]?.from ?? 0
  const seconds = (ms: number) => (ms - zero) / 1000
  const points = (of: (one: Interval) => number): [number, number][] =>
    intervals.map((one) => [Number(seconds(one.from).toFixed(2)), of(one)])
  return lineChart({
    title: 'Operations/s and latency while the shards change',
    x: { label: 's', logarithmic: false },
    y: { label: 'operations/s', logarithmic: false },
    y2: { label: 'ms', logarithmic: true },
    marks: 'none',
    spans: phases.map(({ name, from, to }) => ({ name, from: seconds(from), to: seconds(to) })),
    series: [
      { name: 'operations/s', points: points(({ operations }) => (operations * 1000) / everyMs) },
      { name: 'p50', axis: 'y2', points: points(({ p50Ms }) => p50Ms) },
      { name: 'p99', axis: 'y2', points: points(({ p99Ms }) => p99Ms) },
    ],
  })
}
