// What every part of the model gives: a table for people, which is the data for --json as well.
import Table from 'cli-table3'
import { PLAIN_TABLE } from '../load/figures.js'

export type Cell = string | number

export interface Section {
  readonly title: string
  readonly head: readonly string[]
  readonly rows: readonly (readonly Cell[])[]
  /** What follows from it, in words. */
  readonly notes?: readonly string[]
}

/** No lines between rows: there are many. */
const TIGHT = { mid: '', 'left-mid': '', 'mid-mid': '', 'right-mid': '' }

export function shownSection({ title, head, rows, notes = [] }: Section): string {
  const isNumeric = (at: number) => rows.every((row) => typeof row[at] === 'number')
  const colAligns = head.map((_, at) => (isNumeric(at) ? ('right' as const) : ('left' as const)))
  const table = new Table({ head: [...head], colAligns, style: PLAIN_TABLE, chars: TIGHT })
  for (const row of rows) table.push(row.map(shownCell))
  return [`\n## ${title}`, table.toString(), ...notes.map((note) => `- ${note}`)].join('\n')
}

function shownCell(cell: Cell): string {
  return typeof cell === 'string' ? cell : shownNumber(cell)
}

/** Three figures are more than the model knows. */
export function shownNumber(value: number): string {
  // There is nothing that it could be the figure of.
  if (Number.isNaN(value)) return '-'
  if (value === 0 || Number.isInteger(value)) return value.toLocaleString('en')
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en')
  return `${Number(value.toPrecision(3))}`
}

const BYTES = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'] as const

/** In powers of ten, as disks and networks are sold. */
export function bytes(value: number): string {
  const power = Math.min(BYTES.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, value)) / 3)))
  return `${shownNumber(value / 1000 ** power)} ${BYTES[power]}`
}

export function duration(seconds: number): string {
  if (seconds < 1) return `${shownNumber(seconds * 1000)} ms`
  if (seconds < 120) return `${shownNumber(seconds)} s`
  if (seconds < 7200) return `${shownNumber(seconds / 60)} min`
  return `${shownNumber(seconds / 3600)} h`
}
