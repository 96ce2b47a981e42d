import Table from 'cli-table3'
import picocolors from 'picocolors'

type Row = readonly (string | number)[]

/** A table in lines, with a rule below its head and between groups of rows, and none between the rows of a group. */
export function textTable(head: readonly string[], groups: readonly (readonly Row[])[], colours = false): string {
  // The library's own styles look at the environment, whatever the caller has found there.
  const { bold } = picocolors.createColors(colours)
  const table = new Table({ head: head.map(bold), style: { head: [], border: [] } })
  // The library draws a rule between any two rows: so each group is one row of it, whose cells have a line for each of ours.
  for (const rows of groups) {
    if (rows.length > 0) table.push(head.map((_, column) => rows.map((row) => row[column] ?? '').join('\n')))
  }
  return table.toString()
}
