// The results as files: everything as JSON, the rates as a chart.
import { readFileSync } from 'node:fs'
import { cpus, release, totalmem } from 'node:os'
import { join } from 'node:path'
import { ROOT } from '../../test/harness/root.js'
import { barChart } from '../chart/bars.js'
import type { Case } from './cases.js'
import type { Contender } from './contenders.js'
import { judge } from './goals.js'
import { medianFigures, type Run } from './results.js'

export interface Report {
  readonly cases: readonly Case[]
  readonly contenders: readonly Contender[]
  readonly seconds: number
  readonly runs: readonly Run[]
  /** What the servers said of their version, by contender. */
  readonly versions: ReadonlyMap<string, string>
  /** One line each: who was skipped and how to get it, or what failed. */
  readonly missing: readonly string[]
}

export function toJson(report: Report): string {
  const { cases, contenders, seconds, runs, versions, missing } = report
  const named = contenders.map(({ name, note, packages }) => ({
    name,
    note,
    server: versions.get(name),
    client: Object.fromEntries(packages.map((one) => [one, installed(one)])),
    median: Object.fromEntries(cases.map((one) => [one.name, medianFigures(runs, name, one.name)])),
  }))
  const plain = runs.map((run) => Object.fromEntries([...run].map(([name, all]) => [name, Object.fromEntries(all)])))
  const goals = judge(runs)
  return `${JSON.stringify({ machine: machine(), seconds, cases, contenders: named, goals, missing, runs: plain }, null, 2)}\n`
}

function machine(): object {
  const [first] = cpus()
  return {
    cpus: cpus().length,
    model: first?.model,
    memoryBytes: totalmem(),
    platform: `${process.platform} ${release()}`,
    node: process.version,
  }
}

function installed(name: string): string {
  const text = readFileSync(join(ROOT, 'node_modules', name, 'package.json'), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}

export function toSvg({ cases, contenders, runs }: Report): string {
  const groups = cases.map((one) => ({
    name: one.name,
    bars: contenders.flatMap(({ name }) => {
      const value = medianFigures(runs, name, one.name)?.operationsPerSecond
      return value === undefined ? [] : [{ series: name, value: Math.round(value) }]
    }),
  }))
  return barChart({ title: 'Kvorum and its peers', unit: 'operations/s', logarithmic: true, groups })
}
