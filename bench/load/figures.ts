// Numbers by name, and how they are told.
import { cpus, totalmem } from 'node:os'
import { median } from '../../test/harness/median.js'

export type Figures = Readonly<Record<string, number>>

/** The median of each figure over all runs. */
export function medians(runs: readonly Figures[]): Figures {
  const names = Object.keys(runs[0] ?? {})
  return Object.fromEntries(names.map((name) => [name, median(runs.map((figures) => figures[name] ?? Number.NaN))]))
}

export const PLAIN_TABLE = { head: [], border: [] }

export function shown(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString('en') : value.toFixed(2)
}

/** A figure without its machine is not one. */
export function machine(): Readonly<Record<string, unknown>> {
  return { cpus: cpus().length, model: cpus()[0]?.model, memoryBytes: totalmem(), node: process.version }
}
