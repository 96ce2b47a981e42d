// The report of a sanity run as a table of plain text.
import Table from 'cli-table3'
import type { Row, SanityReport } from './suite.js'

const PLAIN = { head: [], border: [] }

export function renderReport(report: SanityReport): string {
  const table = new Table({
    head: ['operation', 'count', 'wrong', 'errors', 'p50 ms', 'p99 ms'],
    colAligns: ['left', 'right', 'right', 'right', 'right', 'right'],
    style: PLAIN,
  })
  for (const row of report.rows) table.push(cells(row))
  return [table.toString(), ...report.faults].join('\n')
}

function cells(row: Row): string[] {
  const sorted = [...row.latenciesMs].sort((a, b) => a - b)
  return [
    row.verb,
    String(row.latenciesMs.length + row.errors),
    String(row.wrong),
    String(row.errors),
    quantile(sorted, 0.5).toFixed(2),
    quantile(sorted, 0.99).toFixed(2),
  ]
}

function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
}

/** True when the store agreed with the Map every time and answered every time. */
export function isSane(report: SanityReport): boolean {
  return report.faults.length === 0 && report.rows.every((row) => row.wrong === 0 && row.errors === 0)
}
